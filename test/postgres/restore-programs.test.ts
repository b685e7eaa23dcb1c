import { describe, expect, test } from 'vitest';
import { chooseRestorePrograms, readsArchive, unknownSettings } from '../../src/postgres/restore-programs.ts';

const programs = (majors: readonly number[]) =>
  majors.map((major) => ({ major, version: `${major}.1`, binDir: `/pg/${major}` }));

describe('chooseRestorePrograms', () => {
  test.each([
    // server, archive, of what, mode
    [15, '1.14', 15, 'direct'],
    [15, '1.15', 16, 'direct'],
    [15, '1.16', 17, 'filtered'],
    [16, '1.14', 16, 'direct'],
    [16, '1.16', 17, 'filtered'],
    [17, '1.14', 17, 'direct'],
    [18, '1.16', 18, 'direct'],
    [14, '1.13', 15, 'direct'],
    [19, '1.14', 18, 'direct'],
  ])('a server of %i and an archive of %s get pg_restore of %i, %s', (serverMajor, archiveVersion, major, mode) => {
    const chosen = chooseRestorePrograms(programs([15, 16, 17, 18]), { serverMajor, archiveVersion });
    expect({ major: chosen.programs.major, mode: chosen.mode }).toEqual({ major, mode });
  });

  test('names what there is when nothing reads the archive', () => {
    expect(() => chooseRestorePrograms(programs([16, 15]), { serverMajor: 15, archiveVersion: '1.16' })).toThrow(
      'no pg_restore here reads archives of version 1.16; there are programs of PostgreSQL: 16, 15',
    );
    expect(() => chooseRestorePrograms([], { serverMajor: 15, archiveVersion: '1.14' })).toThrow('PostgreSQL: none');
  });
});

test('archives of a future version are read by no program that is known', () => {
  expect([15, 16, 17, 18, 19].map((major) => readsArchive(major, '1.17'))).toEqual(Array(5).fill(false));
});

test('only settings between the two majors are unknown to the server', () => {
  expect([unknownSettings(17, 16), unknownSettings(18, 17), unknownSettings(16, 15), unknownSettings(15, 18)]).toEqual([
    ['transaction_timeout'],
    [],
    [],
    [],
  ]);
});
