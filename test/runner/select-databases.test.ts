import { expect, test } from 'vitest';
import { selectDatabases } from '../../src/runner/backup/select-databases.ts';

const found = [
  { oid: '1', name: 'shop', bytes: 10 },
  { oid: '2', name: 'Archive', bytes: 20 },
  { oid: '3', name: 'crm' },
];

test('all means everything that was found but what is excluded, in one order', () => {
  expect(selectDatabases({ all: true, exclude: ['crm'] }, found)).toEqual([
    { oid: '2', name: 'Archive', bytes: 20, named: false },
    { oid: '1', name: 'shop', bytes: 10, named: false },
  ]);
});

test('named databases are selected even when the server does not show them, each once', () => {
  expect(selectDatabases({ names: ['shop', 'nobody', 'shop'] }, found)).toEqual([
    { name: 'nobody', named: true },
    { oid: '1', name: 'shop', bytes: 10, named: true },
  ]);
});

test('nothing left is a failure that says what there was', () => {
  expect(() => selectDatabases({ all: true, exclude: ['shop', 'Archive', 'crm'] }, found)).toThrow(
    expect.objectContaining({
      reason: 'NoDatabases',
      message: expect.stringContaining('shop, Archive, crm') as string,
    }),
  );
});

test('more databases than one run can report are refused, not cut', () => {
  const many = Array.from({ length: 501 }, (_, index) => ({ oid: `${index}`, name: `db${index}` }));
  expect(() => selectDatabases({ all: true }, many)).toThrow(expect.objectContaining({ reason: 'SpecInvalid' }));
  expect(selectDatabases({ all: true, exclude: ['db0'] }, many).length).toBe(500);
});

test('databases whose names differ in upper and lower case only know of each other', () => {
  const names = ['shop', 'Shop', 'SHOP', 'crm', 'Ä', 'ä'];
  const twins = names.map((name, index) => ({ name, oid: String(index) }));
  const selected = selectDatabases({ all: true }, twins);
  expect(selected.filter(({ hasTwin }) => hasTwin).map(({ name }) => name)).toEqual(['SHOP', 'Shop', 'shop']);
  expect(selectDatabases({ names: ['Shop', 'crm'] }, twins).some(({ hasTwin }) => hasTwin)).toBe(false);
});
