import { expect, test } from 'vitest';
import { findDifferences } from '../../scripts/quickstart/compare-databases.ts';

const table = (name: string, rows: number, checksum = 'abc') => ({ name, rows, checksum });

test('equal databases have no differences, in whatever order their tables come', () => {
  expect(findDifferences([table('a', 1), table('b', 2)], [table('b', 2), table('a', 1)])).toEqual([]);
});

test('a table with other values, one that is missing and one too many are named', () => {
  expect(findDifferences([table('a', 1), table('b', 2)], [table('a', 1, 'def'), table('c', 0)])).toEqual([
    'a',
    'b',
    'a',
    'c',
  ]);
});
