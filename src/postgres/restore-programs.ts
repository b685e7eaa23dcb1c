import { Failure } from '../api/failure.ts';
import type { Programs } from './programs.ts';

export interface RestorePrograms {
  readonly programs: Programs;
  /** filtered: as a script through psql, because pg_restore would set something that the server does not know. */
  readonly mode: 'direct' | 'filtered';
}

/** @throws Failure ProgramMissing */
export function chooseRestorePrograms(
  _available: readonly Programs[],
  _for: { readonly serverMajor: number; readonly archiveVersion: string },
): RestorePrograms {
  throw new Failure('Internal', 'not built yet');
}
