import { maxDatabases } from '../../api/backup-policy.ts';
import { Failure } from '../../api/failure.ts';
import type { BackupTask } from '../../domain/task.ts';
import type { FoundDatabase } from './source.ts';

export interface SelectedDatabase extends Omit<FoundDatabase, 'oid'> {
  /** Absent of a named one that is not there. */
  readonly oid?: string;
  /** Named by the policy: it fails when it is not there. Else it was found, and is skipped when it vanishes. */
  readonly named: boolean;
  /** True when another selected one is called so but for upper and lower case. */
  readonly hasTwin?: boolean;
}

/**
 * What a run has to back up, in order of names (by code units, the same everywhere). Named ones are selected whether they exist
 * or not.
 * @throws Failure NoDatabases when nothing is left, SpecInvalid when there are more than one run can report
 */
export function selectDatabases(
  wanted: BackupTask['databases'],
  found: readonly FoundDatabase[],
): readonly SelectedDatabase[] {
  const selected =
    wanted.names === undefined ? selectAll(wanted.exclude ?? [], found) : selectNamed(wanted.names, found);
  if (selected.length === 0) {
    const names = found.map(({ name }) => name).join(', ');
    throw new Failure('NoDatabases', `no database is selected; the server shows: ${names === '' ? 'none' : names}`);
  }
  if (selected.length > maxDatabases) {
    throw new Failure('SpecInvalid', `${selected.length} databases are selected, a run takes at most ${maxDatabases}`, {
      hint: 'split them over several policies with names',
    });
  }
  return tellTwins(selected).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Case of other letters than these does not matter: they are encoded in keys. */
function tellTwins(selected: readonly SelectedDatabase[]): SelectedDatabase[] {
  const fold = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
  const counts = new Map<string, number>();
  for (const { name } of selected) counts.set(fold(name), (counts.get(fold(name)) ?? 0) + 1);
  return selected.map((database) =>
    (counts.get(fold(database.name)) ?? 0) > 1 ? { ...database, hasTwin: true } : { ...database },
  );
}

function selectNamed(names: readonly string[], found: readonly FoundDatabase[]): readonly SelectedDatabase[] {
  const byName = new Map(found.map((database) => [database.name, database]));
  return [...new Set(names)].map((name) => ({ ...(byName.get(name) ?? { name }), named: true }));
}

function selectAll(exclude: readonly string[], found: readonly FoundDatabase[]): readonly SelectedDatabase[] {
  return found
    .filter(({ name }) => !exclude.includes(name))
    .map((database) => ({ ...database, named: false, ...(database.isKept === true ? { bytes: 0 } : {}) }));
}
