import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { makeSeal, openSeal, sealKeyOf } from '../../src/postgres/database-seal.ts';

const key = sealKeyOf('c0ffee00-1234-4000-8000-000000000001');
const shop = { name: 'shop', oid: '16384' };
const text = fc.string({ unit: 'binary', maxLength: 2000 });

test('a seal is read again, whatever its text and the name of the database', () => {
  fc.assert(
    fc.property(text, fc.string({ unit: 'binary', minLength: 1 }), (told, name) => {
      expect(openSeal({ ...shop, name }, key, makeSeal({ ...shop, name }, key, told))).toBe(told);
    }),
  );
});

test('a seal is the number 2 to whoever reads a number', () => {
  fc.assert(fc.property(text, (told) => Number(makeSeal(shop, key, told)) === 2));
});

test('with another key, for another database or another text, or with a digit changed a seal is none', () => {
  const seal = makeSeal(shop, key, 'loaded');
  expect(openSeal(shop, sealKeyOf('another'), seal)).toBeUndefined();
  expect(openSeal({ ...shop, oid: '16385' }, key, seal)).toBeUndefined();
  expect(openSeal({ ...shop, name: 'stock' }, key, seal)).toBeUndefined();
  fc.assert(
    fc.property(fc.nat(seal.length - 27), fc.integer({ min: 0, max: 9 }), (back, digit) => {
      const at = seal.length - 1 - back;
      const changed = `${seal.slice(0, at)}${digit}${seal.slice(at + 1)}`;
      expect(openSeal(shop, key, changed)).toBe(changed === seal ? 'loaded' : undefined);
    }),
  );
  fc.assert(fc.property(fc.string(), (other) => openSeal(shop, key, other) === undefined));
  for (const other of ['2', '2.0', `2.${'0'.repeat(24)}`, `2.${'0'.repeat(24)}17`, `2.${'0'.repeat(90_000)}17`]) {
    expect(openSeal(shop, key, other)).toBeUndefined();
  }
});
