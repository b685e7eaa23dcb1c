import { isRelation, showEntry, type ArchiveIndex } from './archive-index.ts';
import { addPartitions } from './add-partitions.ts';
import { findSchema, findTable } from './find-selected.ts';
import type { ArchiveEntry, ArchiveSelection } from './load-types.ts';

const mostNames = 20;
const rows: ReadonlySet<string> = new Set(['TABLE DATA', 'MATERIALIZED VIEW DATA']);
/** Of what is left out because it needs what is excluded, what people would miss. */
const missed = /^(?:FUNCTION|PROCEDURE|FK CONSTRAINT|TRIGGER|RULE|POLICY)$/;

type Exclusion = Pick<ArchiveSelection, 'excludeSchemas' | 'excludeTables' | 'excludeTableData'>;

/**
 * What is excluded, with all that needs it: nothing of that could be made.
 * @throws Failure SelectionMissing
 */
export function findExcluded(
  index: ArchiveIndex,
  { excludeSchemas = [], excludeTables = [], excludeTableData = [] }: Exclusion,
): { readonly entries: ReadonlySet<ArchiveEntry>; readonly notes: readonly string[] } {
  const asked = new Set(excludeSchemas.flatMap((schema) => findSchema(index, schema)));
  const tables = excludeTables.map((table) => findTable(index, table));
  addPartitions(index, asked, [...asked, ...tables]);
  const entries = new Set(asked);
  const more: ArchiveEntry[] = [];
  // What is added while a set is walked through is walked through, too.
  for (const entry of entries) {
    for (const dependent of index.dependentsOf(entry)) {
      if (entries.has(dependent)) continue;
      entries.add(dependent);
      more.push(dependent);
    }
  }
  const emptied = new Set<ArchiveEntry>();
  addPartitions(
    index,
    emptied,
    excludeTableData.map((table) => findTable(index, table)),
  );
  for (const entry of index.entries) {
    const table = rows.has(entry.type) ? index.relation(entry.schema, entry.name) : undefined;
    if (table !== undefined && emptied.has(table)) entries.add(entry);
  }
  return { entries, notes: noteMissed(index, asked, more) };
}

function noteMissed(
  index: ArchiveIndex,
  asked: ReadonlySet<ArchiveEntry>,
  more: readonly ArchiveEntry[],
): readonly string[] {
  const told = more.filter((entry) => {
    if (isRelation(entry)) return true;
    const table = index.tableOf(entry);
    return missed.test(entry.type) && (table === undefined || !asked.has(table));
  });
  if (told.length === 0) return [];
  const shown = told.slice(0, mostNames).map((entry) => `${entry.type.toLowerCase()} ${showEntry(entry)}`);
  const rest = told.length > mostNames ? ` and ${told.length - mostNames} more` : '';
  return [`left out, because it needs what is excluded: ${shown.join(', ')}${rest}`];
}
