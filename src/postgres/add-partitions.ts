import { isRelation, type ArchiveIndex } from './archive-index.ts';
import type { ArchiveEntry } from './load-types.ts';

/** Tables with their partitions, which hold their rows, and the sequences of their columns. Returns the tables that were not chosen before. */
export function addPartitions(
  index: ArchiveIndex,
  chosen: Set<ArchiveEntry>,
  wanted: readonly ArchiveEntry[],
): readonly ArchiveEntry[] {
  const more: ArchiveEntry[] = [];
  // No recursion: how deep partitions are nested is for the archive to say.
  const waiting = wanted.filter(isRelation);
  const seen = new Set<ArchiveEntry>();
  for (let table = waiting.pop(); table !== undefined; table = waiting.pop()) {
    if (seen.has(table)) continue;
    seen.add(table);
    if (!chosen.has(table)) more.push(table);
    chosen.add(table);
    for (const entry of index.dependentsOf(table)) {
      if (entry.type === 'SEQUENCE') chosen.add(entry);
      const partition = entry.type === 'TABLE ATTACH' ? index.relation(entry.schema, entry.name) : undefined;
      if (partition !== undefined) waiting.push(partition);
    }
  }
  return more;
}
