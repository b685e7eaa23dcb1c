import { describe, expect, it } from 'vitest';
import {
  compileFilePattern,
  compileFolderPattern,
  literalPrefix,
} from '../../src/runner/restore/source/file-pattern.ts';

describe('A pattern', () => {
  it.each([
    ['*.zip', 'a.zip', true],
    ['*.zip', 'd/a.zip', false],
    ['**.zip', 'd/a.zip', true],
    ['**/a.zip', 'a.zip', true],
    ['**/a.zip', 'x/y/a.zip', true],
    ['**/a.zip', 'xa.zip', false],
    ['d/**/a', 'd/a', true],
    ['d/**/a', 'd/e/f/a', true],
    ['d/**/a', 'da', false],
    ['a?c', 'abc', true],
    ['a?c', 'a/c', false],
    ['x-{a,b*}.sql', 'x-bcd.sql', true],
    ['x-{a,b{1,2}}.sql', 'x-b2.sql', true],
    ['x-{a,b}.sql', 'x-c.sql', false],
    ['a.c', 'abc', false],
    ['[ab]+', '[ab]+', true],
    ['{open', '{open', true],
    ['*', '', true],
    ['A', 'a', false],
  ])('%s against %s: %s', (pattern, name, expected) => {
    expect(compileFilePattern(pattern)(name)).toBe(expected);
  });

  it('takes bounded time, whatever it is', () => {
    const test = compileFilePattern('*a'.repeat(500));

    expect(test('a'.repeat(1000))).toBe(true);
    expect(test(`${'a'.repeat(1000)}b`)).toBe(false);
    expect(() => compileFilePattern('{a,b}'.repeat(20))).toThrow('more than 256 patterns');
  });

  it.each([
    ['*', 'a/', false],
    ['a/*', 'a/', true],
    ['a/*', 'b/', false],
    ['**/x.sql', 'a/b/', true],
    ['*/b/*.sql', 'a/b/', true],
    ['*/b/*.sql', 'a/c/', false],
    ['{a,b}/x', 'b/', true],
    ['a/b/c', 'a/', true],
  ])('%s could match below %s: %s', (pattern, name, expected) => {
    expect(compileFolderPattern(pattern)(name)).toBe(expected);
  });

  it('tells what all names begin with', () => {
    expect(literalPrefix('nightly/db-*.zip')).toBe('nightly/db-');
    expect(literalPrefix('**')).toBe('');
  });
});
