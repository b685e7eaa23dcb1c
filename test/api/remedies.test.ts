import { describe, expect, it } from 'vitest';
import { placeKindOf, remedyFor, remedyKinds, remedyVariants } from '../../src/api/remedies.ts';
import { failureReasonNames, failureReasons } from '../../src/api/reasons.ts';

describe('The remedy', () => {
  it('for a restore never sends anybody to the policy, and for a backup never to the request', () => {
    for (const reason of failureReasonNames) {
      const variants = Object.fromEntries(remedyVariants(reason));
      if (variants['restore'] !== undefined)
        expect(variants['restore'], reason).not.toMatch(/pg_read_all_data|dump\.|source\.postgres|polic/);
      if (variants['backup'] !== undefined)
        expect(variants['backup'], reason).not.toMatch(/options\.|scratch|RestoreRequest|inPlace/);
    }
  });

  it('for a folder or SFTP never names what only S3 has', () => {
    for (const reason of failureReasonNames) {
      for (const kind of ['sftp', 'directory'] as const) {
        if (!reason.startsWith('Storage')) continue;
        expect(remedyFor(reason, kind), `${reason}, ${kind}`).not.toMatch(
          /bucket|S3|region|accessKey|endpoint|storageClass|least policy/,
        );
      }
    }
  });

  it('is the catalogue’s where there is no variant, and the first kind that has one decides', () => {
    expect(remedyFor('DumpEmpty', 'backup')).toBe(failureReasons.DumpEmpty.remedy);
    expect(remedyFor('StorageMissing')).toBe(failureReasons.StorageMissing.remedy);
    expect(remedyFor('StorageMissing', undefined, 'backup', 'directory')).toContain('directory.path');
    expect(remedyFor('DiskFull', 'restore', 's3')).not.toBe(remedyFor('DiskFull', 'backup', 's3'));
  });

  it('is an imperative sentence of bounded length in every variant', () => {
    for (const reason of failureReasonNames) {
      for (const [kind, remedy] of remedyVariants(reason)) {
        expect(remedyKinds).toContain(kind);
        expect(remedy, reason).toMatch(/^[A-Z].*\.$/);
        expect(remedy.length, reason).toBeLessThan(240);
      }
    }
  });
});

it('A place tells its kind', () => {
  expect(placeKindOf({ s3: {} })).toBe('s3');
  expect(placeKindOf({ sftp: {} })).toBe('sftp');
  expect(placeKindOf({ directory: { path: '/x' } })).toBe('directory');
  expect(placeKindOf({})).toBeUndefined();
});
