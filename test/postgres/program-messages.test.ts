import { describe, expect, test } from 'vitest';
import { errorText, readWarnings } from '../../src/postgres/program-messages.ts';

describe('the first error of a program', () => {
  test('comes with its details, what the server said before what was run', () => {
    const text = errorText(
      [
        'pg_dump: warning: something before',
        'pg_dump: error: Dumping the contents of table "t" failed: PQgetResult() failed.',
        'pg_dump: detail: Command was: COPY public.t (i)',
        ' TO stdout;',
        'pg_dump: detail: Error message from server: ERROR:  invalid page in block 1 of relation base/5/16384',
        'pg_dump: error: another',
      ].join('\n'),
    );
    expect(text.line).toBe('Dumping the contents of table "t" failed: PQgetResult() failed.');
    expect(text.detail).toBe(
      'Error message from server: ERROR: invalid page in block 1 of relation base/5/16384; Command was: COPY public.t (i) TO stdout;',
    );
  });

  test('is not judged by the statement that was run, whatever names are in it', () => {
    const { whole, detail } = errorText(
      'pg_dump: error: query failed: ERROR:  lost\npg_dump: detail: Query was: LOCK TABLE "permission denied\nNo space left on device"\n',
    );
    expect(whole).not.toMatch(/permission denied|No space/);
    expect(detail).toContain('permission denied');
  });

  test('is of bounded length, and never cut inside a character', () => {
    const { line, detail } = errorText(`pg_dump: error: ${'🐘'.repeat(5_000)}\npg_dump: detail: ${'🐘'.repeat(5_000)}`);
    expect(line.length).toBeLessThanOrEqual(500);
    expect(detail.length).toBeLessThanOrEqual(400);
    expect(line.isWellFormed() && detail.isWellFormed()).toBe(true);
  });

  test.each([
    ['', ''],
    ['\n\n', ''],
    ['Killed', 'Killed'],
    [
      'pg_dump: error: connection to server at "x" failed:\n\tFATAL:  no',
      'connection to server at "x" failed: FATAL:  no',
    ],
  ])('%j is told as %j', (stderr, line) => {
    expect(errorText(stderr).line).toBe(line);
  });
});

describe('warnings', () => {
  test('are counted, of pg_dump and of the server, and the first is told with its details', () => {
    expect(
      readWarnings(
        [
          'pg_dump: warning: there are circular foreign-key constraints on this table:',
          'pg_dump: detail: chicken',
          'pg_dump: hint: Consider using a full dump.',
          'WARNING:  page verification failed',
          'pg_dump: warning: another',
          'pg_dump: detail: warning: not one',
        ].join('\n'),
      ),
    ).toEqual({
      count: 3,
      first: 'there are circular foreign-key constraints on this table: chicken Consider using a full dump.',
    });
  });

  test.each(['', 'pg_dump: reading schemas\n', 'NOTICE:  warning: no'])('there are none in %j', (stderr) => {
    expect(readWarnings(stderr)).toBeUndefined();
  });
});
