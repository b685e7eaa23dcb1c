import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { fillInExamples } from '../../scripts/quickstart/fill-in-examples.ts';

const example = `
# A place.
kind: BackupLocation
metadata: { name: disk }
spec:
  directory: { claimName: backups, path: postgres }
---
kind: Secret
metadata: { name: login }
stringData: { ca.crt: replace-me }
`;
const read = (text: string): readonly unknown[] => parseAllDocuments(text).map((document): unknown => document.toJS());

describe('examples that are filled in', () => {
  test('keep everything but what is changed', () => {
    const text = fillInExamples([example], {
      'BackupLocation/disk': { 'spec.directory.claimName': undefined, 'spec.directory.path': '/backups' },
      'Secret/login': { 'stringData/ca.crt': 'line one\nline two\n' },
    });
    expect(read(text)).toEqual([
      { kind: 'BackupLocation', metadata: { name: 'disk' }, spec: { directory: { path: '/backups' } } },
      { kind: 'Secret', metadata: { name: 'login' }, stringData: { 'ca.crt': 'line one\nline two\n' } },
    ]);
  });

  test('leave out what is not wanted', () => {
    expect(read(fillInExamples([example], { 'Secret/login': {} }))).toHaveLength(1);
  });

  test('cannot be given what the example does not have', () => {
    const change = { 'BackupLocation/disk': { 'spec.directory.mode': '0700' } };
    expect(() => fillInExamples([example], change)).toThrow(
      'the example BackupLocation/disk has no spec.directory.mode',
    );
    expect(() => fillInExamples([example], { 'BackupLocation/tape': {} })).toThrow('there is no example');
  });
});
