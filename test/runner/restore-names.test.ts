import { expect, test } from 'vitest';
import {
  previousName,
  replacedName,
  requestDigits,
  scratchName,
  scratchPattern,
} from '../../src/runner/restore/target/scratch-names.ts';

const uid = 'C0FFEE00-1234-4000-8000-000000000001';

test('scratch databases are named after request and try, and fit', () => {
  expect(scratchName(uid, 'a1b2c3d4', 0)).toBe('pgbackup_restore_c0ffee001234_a1b2c3d4');
  expect(scratchName(uid, 'a1b2c3d4', 49)).toBe('pgbackup_restore_c0ffee001234_a1b2c3d4_50');
  expect(replacedName(uid, 1)).toBe('pgbackup_replaced_c0ffee001234_2');
  expect(scratchName(uid, 'a1b2c3d4', 0)).toMatch(new RegExp(scratchPattern(uid)));
  expect(scratchName(uid, 'a1b2c3d4', 7)).toMatch(new RegExp(scratchPattern(uid)));
  expect(scratchName('another', 'a1b2c3d4', 7)).not.toMatch(new RegExp(scratchPattern(uid)));
});

test('a uid that is none of Kubernetes gets digits, too', () => {
  expect(requestDigits('some request')).toMatch(/^[0-9a-f]{12}$/);
  expect(requestDigits('some request')).not.toBe(requestDigits('other request'));
});

test('the name of a kept database has the date, at most 63 bytes, whole characters, and is not taken', () => {
  const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5);
  expect(previousName('shop', nowMs, () => false)).toBe('shop_20260102t030405z');
  expect(previousName('shop', nowMs, (name) => name === 'shop_20260102t030405z')).toBe('shop_20260102t030405z_2');
  const long = previousName('象'.repeat(21), nowMs, () => false);
  expect(Buffer.byteLength(long)).toBeLessThanOrEqual(63);
  expect(long).toBe(`${'象'.repeat(15)}_20260102t030405z`);
});
