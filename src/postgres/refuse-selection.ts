import { Failure } from '../api/failure.ts';
import { isRelation, showEntry, type ArchiveIndex } from './archive-index.ts';
import type { ArchiveEntry } from './load-types.ts';

/** Without a restrictive policy more people would see more rows than before. @throws Failure SelectionMissing */
export function refuseBareRows(
  index: ArchiveIndex,
  chosen: ReadonlySet<ArchiveEntry>,
  left: ReadonlySet<ArchiveEntry>,
): void {
  for (const entry of index.entries) {
    if (entry.restrictive !== true || chosen.has(entry) || left.has(entry)) continue;
    const table = index.tableOf(entry);
    if (table === undefined || !chosen.has(table)) continue;
    const lacking = index.dependenciesOf(entry).find((found) => isRelation(found) && !chosen.has(found));
    const needs =
      lacking === undefined ? 'something that is not selected' : `${showEntry(lacking)}, which is not selected`;
    throw new Failure('SelectionMissing', `the restrictive policy ${showEntry(entry)} needs ${needs}`, {
      hint: 'select it too, or set options.without: [policies], which shows all rows to whoever may read the table',
    });
  }
}

/** What is dropped leaves the table that it is a partition of, and nothing would put it back. @throws Failure SelectionMissing */
export function refuseTornPartitions(index: ArchiveIndex, chosen: ReadonlySet<ArchiveEntry>): void {
  for (const entry of index.entries) {
    if (entry.type !== 'TABLE ATTACH') continue;
    const child = index.relation(entry.schema, entry.name);
    const parent = index.dependenciesOf(entry).find((found) => isRelation(found) && found !== child);
    if (child === undefined || parent === undefined || !chosen.has(child) || chosen.has(parent)) continue;
    throw new Failure(
      'SelectionMissing',
      `with clean, ${showEntry(child)} would be taken out of ${showEntry(parent)}, which is not selected`,
      {
        hint: `select ${showEntry(parent)} in its place, or restore the partition to another database with mode Create`,
      },
    );
  }
}
