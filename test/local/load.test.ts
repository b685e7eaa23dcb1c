import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadObjects } from '../../src/local/load.ts';
import { readSources } from '../../src/local/read-sources.ts';

const load = (text: string) => loadObjects([{ name: 'a.yaml', text }], '/home/me');

const location = (more = '') => `apiVersion: pgbackup.dev/v1beta1
kind: BackupLocation
metadata:
  name: disk
spec:
  directory:
    path: /backups
${more}`;

describe('loading objects', () => {
  it('gives objects of all documents their defaults and the namespace default', () => {
    const { objects, errors } = load(`${location()}---
apiVersion: v1
kind: Secret
metadata: { name: db, namespace: shop }
stringData: { password: hunter2 }
data: { username: cG9zdGdyZXM= }
`);
    expect(errors).toEqual([]);
    expect(objects.map(({ origin }) => origin)).toEqual(['a.yaml:1', 'a.yaml:9']);
    expect(objects[0]?.object).toMatchObject({
      metadata: { name: 'disk', namespace: 'default' },
      spec: { directory: { path: '/backups' }, accessMode: 'ReadWrite', inspectionIntervalSeconds: 3600 },
    });
    expect(objects[1]?.object).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'Opaque',
      metadata: { name: 'db', namespace: 'shop' },
      data: { username: 'cG9zdGdyZXM=', password: Buffer.from('hunter2').toString('base64') },
    });
  });

  it.each([
    [
      'an unknown field, at its own line',
      location('  accesMode: ReadOnly\n'),
      'a.yaml:8: unknown field "spec.accesMode"',
    ],
    [
      'a wrong value, at its own line',
      location('  accessMode: Sometimes\n'),
      'a.yaml:8: spec.accessMode: Unsupported value: "Sometimes": supported values: "ReadWrite", "AppendOnly", "ReadOnly"',
    ],
    [
      'a value in a list',
      `apiVersion: pgbackup.dev/v1beta1
kind: BackupPolicy
metadata: { name: p }
spec:
  source:
    postgres:
      host: db
      credentials: { secretName: db }
      databases: { all: true }
  destinations:
    - location: good
    - location: Bad_Name
`,
      /^a\.yaml:12: spec\.destinations\[1\]\.location: Invalid value/,
    ],
    [
      'a missing field, at what should hold it',
      location().replace('path: /backups', '{}'),
      /^a\.yaml:6: spec\.directory\.path: Required/,
    ],
    ['broken YAML', 'a: [1\nb: 2\n', /^a\.yaml:\d: /],
    [
      'a key that stands twice',
      location('  accessMode: ReadOnly\n  accessMode: ReadWrite\n'),
      /^a\.yaml:9: Map keys must be unique/,
    ],
    [
      'a list instead of an object',
      '- 1\n',
      'a.yaml:1: a document must be a mapping with apiVersion, kind and metadata',
    ],
    [
      'a kind that is not known',
      'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: x }\n',
      'a.yaml:2: kind: kind "ConfigMap" of apiVersion "v1" is not known here; known are Secret (v1), BackupLocation (pgbackup.dev/v1beta1), BackupPolicy (pgbackup.dev/v1beta1), Backup (pgbackup.dev/v1beta1), RestoreRequest (pgbackup.dev/v1beta1), RestorePolicy (pgbackup.dev/v1beta1)',
    ],
    [
      'an object without a name',
      location().replace('  name: disk', '  labels: {}'),
      'a.yaml:3: metadata.name: Required value',
    ],
    [
      'generateName',
      location().replace('name: disk', 'name: disk\n  generateName: x-'),
      /^a\.yaml:5: metadata\.generateName: /,
    ],
    [
      'unknown metadata',
      location().replace('name: disk', 'name: disk\n  label: x'),
      'a.yaml:5: unknown field "metadata.label"',
    ],
    ['a claim', location('    claimName: x\n'), /^a\.yaml:8: spec\.directory\.claimName: without Kubernetes/],
    [
      'a relative folder',
      location().replace('/backups', 'backups'),
      'a.yaml:7: spec.directory.path: without Kubernetes the path must be absolute, such as /home/me/backups',
    ],
    [
      'the same object twice',
      `${location()}---\n${location()}`,
      'a.yaml:9: BackupLocation default/disk is already in a.yaml:1',
    ],
    [
      'a Secret with a number',
      'apiVersion: v1\nkind: Secret\nmetadata: { name: x }\nstringData:\n  pin: 1234\n',
      'a.yaml:5: stringData.pin: Invalid value: must be a string (in quotes)',
    ],
    [
      'a Secret that is not base64',
      'apiVersion: v1\nkind: Secret\nmetadata: { name: x }\ndata:\n  pin: "s!cret"\n',
      'a.yaml:5: data.pin: Invalid value: is not base64',
    ],
    [
      'an unknown member of a Secret',
      'apiVersion: v1\nkind: Secret\nmetadata: { name: x }\nstringdata: {}\n',
      'a.yaml:4: unknown field "stringdata"',
    ],
    ['nothing at all', '# only a comment\n', 'a.yaml: no objects found'],
  ])('refuses %s', (_, text, expected) => {
    const { errors } = load(text);
    expect(errors).toEqual([typeof expected === 'string' ? expected : expect.stringMatching(expected)]);
  });

  it('loads what kubectl get -o yaml printed, without what the server wrote', () => {
    const { objects, errors } = load(
      location('status: { phase: Available }\n').replace(
        'name: disk',
        'name: disk\n  uid: abc\n  resourceVersion: "7"\n  generation: 2\n  creationTimestamp: "2026-01-01T00:00:00Z"\n  finalizers: [x]',
      ),
    );
    expect(errors).toEqual([]);
    expect(objects[0]?.object.metadata).toEqual({ name: 'disk', namespace: 'default' });
    expect(objects[0]?.object).not.toHaveProperty('status');
  });
});

describe('reading files', () => {
  it('reads files, folders in order of names, and stdin', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pgbackup-load-'));
    try {
      await mkdir(join(folder, 'more'));
      await writeFile(join(folder, 'one.yaml'), 'one');
      await writeFile(join(folder, 'more/b.yml'), 'b');
      await writeFile(join(folder, 'more/a.yaml'), 'a');
      await writeFile(join(folder, 'more/readme.md'), 'no');
      const read = await readSources([join(folder, 'one.yaml'), join(folder, 'more'), '-'], async () => 'in');
      expect(read.map(({ text }) => text)).toEqual(['one', 'a', 'b', 'in']);
      await expect(readSources([join(folder, 'none.yaml')], async () => '')).rejects.toMatchObject({
        reason: 'SpecInvalid',
        message: expect.stringContaining('no such file or folder'),
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
