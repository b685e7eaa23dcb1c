import { assert, constantFrom, oneof, property, string, uniqueArray } from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeDatabaseName,
  encodeDatabaseName,
  parseAttemptKey,
  sealedKeyKey,
  volumeKey,
} from '../../src/domain/layout.ts';
import { selectDatabases } from '../../src/runner/backup/select-databases.ts';

/** Many differ in upper and lower case only. */
const names = uniqueArray(
  oneof(string({ unit: constantFrom('a', 'A', 'é', 'É', '%', '4', '1', '.'), minLength: 1 }), string()),
  { minLength: 1, maxLength: 20 },
);

test('names of a run have keys that differ, where upper and lower case are one, too, and can be read back', () => {
  assert(
    property(names, (found) => {
      const selected = selectDatabases(
        { all: true },
        found.map((name, index) => ({ name, oid: String(index) })),
      );
      const encoded = selected.map(({ name, hasTwin }) => encodeDatabaseName(name, hasTwin));
      expect(encoded.map(decodeDatabaseName)).toEqual(selected.map(({ name }) => name));
      expect(new Set(encoded.map((key) => key.toLowerCase())).size).toBe(found.length);
    }),
  );
});

test('capitals are encoded only where they have to be', () => {
  const keyOf = (database: string, hasTwin: boolean): string =>
    volumeKey('shop/nightly/n-1/', 'a1b2c3d4', { database, hasTwin }, { compression: 'zstd', isEncrypted: false }, 1);
  expect(keyOf('Shop', false)).toBe('shop/nightly/n-1/a1b2c3d4/Shop.dump.zst');
  expect(keyOf('Shop', true)).toBe('shop/nightly/n-1/a1b2c3d4/%53hop.dump.zst');
  expect(keyOf('shop', true)).toBe('shop/nightly/n-1/a1b2c3d4/shop.dump.zst');
  expect(keyOf('Ärger', true)).toBe('shop/nightly/n-1/a1b2c3d4/%C3%84rger.dump.zst');
});

test('a dump that is tried again beside remains has a key of its own, which is known as ours', () => {
  const keys = [1, 2, 12].flatMap((again) => [
    volumeKey(
      'shop/nightly/n-1/',
      'a1b2c3d4',
      { database: 'orders', again },
      { compression: 'zstd', isEncrypted: false },
      1,
    ),
    volumeKey(
      'shop/nightly/n-1/',
      'a1b2c3d4',
      { database: 'orders~2', again },
      { compression: 'none', isEncrypted: true },
      3,
    ),
    volumeKey('shop/nightly/n-1/', 'a1b2c3d4', { globals: true, again }, { compression: 'gzip', isEncrypted: true }, 1),
  ]);
  expect(new Set(keys).size).toBe(keys.length);
  expect(keys.slice(3, 6).map((key) => key.slice(key.lastIndexOf('/') + 1))).toEqual([
    'orders~2.dump.zst',
    'orders%7E2~2.dump.enc.0003',
    'globals~2.sql.gz.enc',
  ]);
  for (const key of keys) expect(parseAttemptKey(key)).toMatchObject({ attempt: 'a1b2c3d4', backup: 'n-1' });
});

test('the key of an encrypted backup is known as a part of its attempt', () => {
  const key = sealedKeyKey('shop/nightly/n-1/', 'a1b2c3d4');
  expect(parseAttemptKey(key)).toEqual({ namespace: 'shop', policy: 'nightly', backup: 'n-1', attempt: 'a1b2c3d4' });
  expect(parseAttemptKey(`${key}.more`)).toBeUndefined();
});
