import { expect, test } from 'vitest';
import { holds } from '../../src/runner/restore/prove/run-checks.ts';

test.each([
  ['5000', 'Equal', '5000.0', true],
  ['-0.50', 'Equal', '-.5', true],
  ['+7', 'Equal', '7', true],
  ['1e3', 'Equal', '1000', true],
  ['9', 'Less', '10', true],
  ['9', 'Greater', '10', false],
  // More digits than a double keeps.
  ['9007199254740993', 'Greater', '9007199254740992', true],
  ['0.1000000000000000000001', 'Greater', '0.1', true],
  // As text.
  ['abc', 'Less', 'abd', true],
  ['b', 'Greater', '10', true],
  ['t', 'Equal', 't', true],
  ['t', 'Equal', 'true', false],
  ['', 'Equal', '', true],
  ['', 'Equal', '0', false],
  ['NaN', 'Equal', 'NaN', true],
  ['3', 'GreaterOrEqual', '3', true],
  ['3', 'LessOrEqual', '2.9', false],
  ['a', 'NotEqual', 'b', true],
  ['1.0', 'NotEqual', '1', false],
] as const)('%s is %s %s: %s', (actual, operator, value, wanted) => {
  expect(holds(actual, { operator, value })).toBe(wanted);
});

test('no row and NULL fulfil nothing, not even an inequality', () => {
  for (const operator of ['Equal', 'NotEqual', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual'] as const) {
    expect(holds(undefined, { operator, value: '' })).toBe(false);
  }
});
