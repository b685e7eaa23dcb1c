import { describe, expect, it } from 'vitest';
import { kinds } from '../../src/api/kinds.ts';
import { validateObject } from '../../src/api/validate.ts';
import { badObjects } from './bad-objects.ts';
import { goodObjects, goodStatuses } from './good-objects.ts';
import { backup, s3, withPolicy, type TestObject } from './object-cases.ts';

function validate(object: TestObject, old?: TestObject) {
  const kind = kinds.find((candidate) => candidate.kind === object.kind);
  if (!kind) throw new Error(`no kind ${object.kind}`);
  const judged = validateObject(kind, JSON.parse(JSON.stringify(object)) as TestObject, old);
  return 'errors' in judged ? { errors: judged.errors } : { object: judged.object };
}

describe('validateObject', () => {
  it.each(badObjects)('refuses $name', ({ object, old, error }) => {
    const { errors = [] } = validate(object, old);

    expect(errors.join('\n')).toContain(error);
    if (old) expect(validate(old).errors).toBeUndefined();
  });

  it.each(goodObjects)('accepts $name', ({ object, old }) => {
    expect(validate(object, old).errors).toBeUndefined();
  });

  it('applies the defaults, deep down too', () => {
    expect(validate(withPolicy()).object?.spec).toEqual({
      deletionPolicy: 'Retain',
      source: {
        postgres: {
          port: 5432,
          tls: { mode: 'verify-full' },
          credentials: { secretName: 'pg', keys: { username: 'username', password: 'password', uri: 'uri' } },
          databases: { all: true },
        },
      },
      timeZone: 'Etc/UTC',
      jitterSeconds: 0,
      concurrencyPolicy: 'Forbid',
      suspend: false,
      successfulRunsHistoryLimit: 10,
      failedRunsHistoryLimit: 10,
      dump: { globals: true, rolePasswords: false, lockTimeoutSeconds: 60 },
      compression: { algorithm: 'zstd' },
      destinations: [{ location: 'a', required: true }],
      verification: { readBack: 'Sample' },
      runner: { deadlineSeconds: 21_600, retries: 2, waitForServerSeconds: 300 },
    });
  });

  it('accepts its own result without a further change', () => {
    for (const { object } of goodObjects) {
      const once = validate(object).object;
      expect(once && validate(once).object).toEqual(once);
    }
  });

  it('keeps metadata and leaves the given object as it was', () => {
    const given = { ...withPolicy(), metadata: { name: 'a', labels: { x: 'y' } } };
    const before = structuredClone(given);

    expect(validate(given).object?.metadata).toEqual({ name: 'a', labels: { x: 'y' } });
    expect(given).toEqual(before);
  });

  it.each(goodStatuses)('accepts a full status of $kind', ({ kind, status }) => {
    const object = { BackupLocation: s3(), BackupPolicy: withPolicy(), Backup: backup({ policy: 'a' }) }[kind];

    expect(object && validate({ ...object, status }).errors).toBeUndefined();
  });

  it('refuses a status that the schema does not know', () => {
    expect(validate({ ...s3(), status: { phase: 'Fine', backups: -1, more: 1 } }).errors).toEqual([
      'status.phase: Unsupported value: "Fine": supported values: "Unknown", "Available", "Unavailable"',
      'status.backups: Invalid value: -1: status.backups in body should be greater than or equal to 0',
      'unknown field "status.more"',
    ]);
  });

  it('names every fault of an object at once', () => {
    expect(validate(withPolicy({ suspend: 1, jitterSeconds: -1 })).errors).toHaveLength(2);
  });

  it('refuses what is no object, another kind and another version', () => {
    const [kind] = kinds;
    for (const object of [undefined, null, 5, 'x', [], {}])
      expect(validateObject(kind, object, undefined)).toHaveProperty('errors');
    expect(validateObject(kind, { ...s3(), apiVersion: 'pgbackup.dev/v2' }, undefined)).toEqual({
      errors: ['apiVersion: Invalid value: "pgbackup.dev/v2": must be pgbackup.dev/v1beta1'],
    });
    expect(validateObject(kind, withPolicy(), undefined)).toHaveProperty('errors');
  });

  it('needs a name or a generateName', () => {
    expect(validate({ ...s3(), metadata: { name: '' } }).errors?.join()).toContain('metadata.name: Required value');
    expect(validateObject(kinds[0], { ...s3(), metadata: { generateName: 'a-' } }, undefined)).not.toHaveProperty(
      'errors',
    );
  });

  it('shows at most the beginning of a long value', () => {
    const { errors = [] } = validate(withPolicy({ schedule: 'x'.repeat(100_000) }));

    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors) expect(error.length).toBeLessThan(500);
  });
});
