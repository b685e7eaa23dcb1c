import { Failure } from '../api/failure.ts';
import type { Programs } from './programs.ts';

export interface RestorePrograms {
  readonly programs: Programs;
  /** filtered: as a script that we run, because pg_restore would set something that the server does not know. */
  readonly mode: 'direct' | 'filtered';
}

/** The newest version of archives that pg_restore of a major reads; tried with the real programs. Those between have the former's. */
const archiveVersions: readonly (readonly [major: number, archive: string])[] = [
  [12, '1.14'],
  [16, '1.15'],
  [17, '1.16'],
  [18, '1.16'],
];

export const newestArchiveVersion = '1.16';

/** What pg_restore sets first, by the major of the server that knows it first. Tried with pg_restore and servers of 15 to 18. */
const preambleSettings: readonly (readonly [setting: string, sinceMajor: number])[] = [['transaction_timeout', 17]];

/** Settings that pg_restore of a major begins with and a server does not know. */
export function unknownSettings(programMajor: number, serverMajor: number): readonly string[] {
  return preambleSettings
    .filter(([, since]) => since <= programMajor && since > serverMajor)
    .map(([setting]) => setting);
}

/** Settings that scripts of whatever pg_dump begin with and a server does not know. */
export function settingsSince(serverMajor: number): readonly string[] {
  return unknownSettings(Number.POSITIVE_INFINITY, serverMajor);
}

/** Whether pg_restore of a major reads archives of a version such as `1.15`. */
export function readsArchive(programMajor: number, archiveVersion: string): boolean {
  const newest = archiveVersions.findLast(([major]) => major <= programMajor)?.[1];
  return newest !== undefined && compare(archiveVersion, newest) <= 0;
}

/**
 * pg_restore of the server's major if it reads the archive, else the lowest newer one that does, else the highest older one.
 * @throws Failure ProgramMissing
 */
export function chooseRestorePrograms(
  available: readonly Programs[],
  wanted: { readonly serverMajor: number; readonly archiveVersion: string },
): RestorePrograms {
  const { serverMajor, archiveVersion } = wanted;
  const reading = available
    .filter(({ major }) => readsArchive(major, archiveVersion))
    .toSorted((a, b) => a.major - b.major);
  const programs = reading.find(({ major }) => major >= serverMajor) ?? reading.at(-1);
  if (programs === undefined) {
    const there = available.length === 0 ? 'none' : available.map(({ major }) => major).join(', ');
    throw new Failure(
      'ProgramMissing',
      `no pg_restore here reads archives of version ${archiveVersion}; there are programs of PostgreSQL: ${there}`,
      { hint: 'The archive was made by a newer pg_dump: use an image with client programs of that version.' },
    );
  }
  return { programs, mode: unknownSettings(programs.major, serverMajor).length === 0 ? 'direct' : 'filtered' };
}

function compare(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split('.').map(Number);
  const [majorB = 0, minorB = 0] = b.split('.').map(Number);
  return majorA - majorB || minorA - minorB;
}
