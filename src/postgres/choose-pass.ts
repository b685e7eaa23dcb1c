import type { TocEntry } from './archive-toc.ts';
import type { ArchiveContents, LoadPass } from './load-types.ts';
import type { SelectedEntries } from './select-entries.ts';

/** The numbers of pg_dump; 1 is of those that belong to what they follow, such as comments. */
const sections: Readonly<Record<number, LoadPass | undefined>> = { 2: 'before', 3: 'rows', 4: 'after' };

/** One connection grants last of all: an owner may have taken rights from itself that the load needs. */
const grants = /^(?:DEFAULT )?ACL(?: LANGUAGE)?$/;

/**
 * In which pass the entries of an archive are loaded where several connections load; to be asked for all of them in their order.
 * pg_restore --jobs alone keeps rows and what comes after them apart by dependencies only, and a partitioned table has no rows of its
 * own: its triggers fired, and its constraints were checked, while rows came into its partitions.
 */
export function passChooser(): (entry: Pick<TocEntry, 'type' | 'section'>) => LoadPass {
  let last: LoadPass = 'before';
  return ({ type, section }) => {
    last = sections[section] ?? last;
    return grants.test(type) ? 'after' : last;
  };
}

/** Dump ids by pass, in the order of the archive (large objects last: nothing needs them). */
export function splitByPass(
  { entries, largeObjects }: Pick<ArchiveContents, 'entries' | 'largeObjects'>,
  selected: Pick<SelectedEntries, 'entries' | 'largeObjects'>,
): Readonly<Record<LoadPass, readonly number[]>> {
  const of = (pass: LoadPass): readonly number[] => [
    ...(selected.entries ?? entries).filter((entry) => entry.pass === pass).map(({ dumpId }) => dumpId),
    ...(selected.largeObjects ? largeObjects[pass] : []),
  ];
  return { before: of('before'), rows: of('rows'), after: of('after') };
}
