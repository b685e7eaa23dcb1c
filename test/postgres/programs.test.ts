import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  areOutdated,
  choosePrograms,
  findPrograms,
  minorOf,
  parseVersion,
  standardBinDirs,
} from '../../src/postgres/programs.ts';
import { systemClock } from '../../src/support/clock.ts';

const never = new AbortController().signal;

describe('choosePrograms', () => {
  const available = [15, 16, 18].map((major) => ({ major, version: `${major}.1`, binDir: `/pg/${major}` }));
  test.each([
    [16, 16],
    [17, 18],
    [12, 15],
    [18, 18],
  ])('for a server of major %i takes %i', (server, major) => {
    expect(choosePrograms(available, server).major).toBe(major);
  });

  test('never takes older ones, and names what there is', () => {
    expect(() => choosePrograms(available, 19)).toThrow('no programs for PostgreSQL 19; there are: 15, 16, 18');
    expect(() => choosePrograms([], 16)).toThrow('there are: none');
  });
});

test.each([
  ['pg_dump (PostgreSQL) 16.14 (Debian 16.14-1.pgdg12+1)\n', 16, '16.14 (Debian 16.14-1.pgdg12+1)'],
  ['pg_dump (EnterpriseDB) 16.4.1\n', 16, '16.4.1'],
  ['pg_dump (PostgreSQL) 18beta1\n', 18, '18beta1'],
  ['pg_dump (PostgreSQL) 17.10\n', 17, '17.10'],
  ['pg_dump (PostgreSQL) 9.6.24', 9, '9.6.24'],
])('reads the version of %j', (text, major, version) => {
  expect(parseVersion(text)).toEqual({ major, version });
});

test('what is no version is none', () => {
  expect(parseVersion('hello 16')).toBeUndefined();
});

test.each([
  ['16.14 (Debian 16.14-1.pgdg12+1)', 14],
  ['17.10', 10],
  ['15.4.0 (EnterpriseDB)', 4],
  ['18beta1', -1],
  ['19devel', -1],
])('the minor number of %s is %i', (version, minor) => {
  expect(minorOf(version)).toBe(minor);
});

test.each([
  ['15.18', 15, '15.20 (Debian 15.20-0+deb12u1)', true],
  ['15.9', 15, '15.10', true],
  ['18beta1', 18, '18.0', true],
  ['15.20', 15, '15.20', false],
  ['15.21', 15, '15.20', false],
  ['16.1', 15, '15.20', false],
])('programs %s are outdated for a server %i (%s): %s', (version, major, server, expected) => {
  const programs = { major: Number(/^\d+/.exec(version)?.[0]), version, binDir: '/pg' };
  expect(areOutdated(programs, { major, version: server })).toBe(expected);
});

describe('findPrograms', () => {
  let root = '';
  const install = async (name: string, script: string, programs = ['pg_dump', 'pg_dumpall', 'pg_restore']) => {
    const binDir = join(root, name, 'bin');
    await mkdir(binDir, { recursive: true });
    for (const program of programs) {
      await writeFile(join(binDir, program), `#!/bin/sh\n${script}\n`);
      await chmod(join(binDir, program), 0o755);
    }
  };
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'pgbackup-'));
    await install('17', 'echo "pg_dump (PostgreSQL) 17.2"');
    await install('16', 'echo "pg_dump (PostgreSQL) 16.9"');
    await install('16-newer', 'echo "pg_dump (PostgreSQL) 16.10"');
    await install('16-again', 'echo "pg_dump (PostgreSQL) 16.1"');
    await install('16-same', 'echo "pg_dump (PostgreSQL) 16.10"');
    await install('broken', 'echo "no library" >&2; exit 127');
    await install('half', 'echo "pg_dump (PostgreSQL) 14.1"', ['pg_dump']);
    await install('other', 'echo "something else"');
  });
  afterAll(() => rm(root, { recursive: true }));

  test('finds the newest minor of each major, wherever it lies, and passes over what does not run or is not whole', async () => {
    const found = await findPrograms(
      ['17', '16', '16-newer', '16-again', '16-same', 'broken', 'half', 'other', 'nowhere'].map((name) =>
        join(root, name, 'bin'),
      ),
      systemClock,
      never,
    );
    expect(found).toEqual([
      { major: 16, version: '16.10', binDir: join(root, '16-newer', 'bin') },
      { major: 17, version: '17.2', binDir: join(root, '17', 'bin') },
    ]);
  });

  test('an abort is an abort, not a missing program', async () => {
    await expect(findPrograms([join(root, '17', 'bin')], systemClock, AbortSignal.abort())).rejects.toMatchObject({
      reason: 'Aborted',
    });
  });

  test('looks where Debian puts them', async () => {
    expect(await standardBinDirs(join(root, 'nowhere'))).toEqual([]);
    expect(await standardBinDirs(root)).toContain(join(root, '17', 'bin'));
  });
});
