import { indexArchive, isRelation, showEntry, type ArchiveIndex } from './archive-index.ts';
import { addAttached } from './attached-entries.ts';
import { addPartitions } from './add-partitions.ts';
import { findExcluded } from './exclude-entries.ts';
import { findSchema, findTable } from './find-selected.ts';
import { findLeftOut } from './leave-out-entries.ts';
import { refuseBareRows, refuseTornPartitions } from './refuse-selection.ts';
import type { ArchiveContents, ArchiveEntry, ArchiveSelection, LoadOptions } from './load-types.ts';

export interface SelectedEntries {
  /** In the archive's order; undefined: all. */
  readonly entries: readonly ArchiveEntry[] | undefined;
  /** Large objects come, too: those that are not among the entries. */
  readonly largeObjects: boolean;
  /** What was left out because the other end of it is not selected. */
  readonly notes: readonly string[];
}

const maxNames = 20;
const maxNotes = 12;

/** What a table cannot be made without, and what is expected to be there unless the database is new. */
const needed =
  /^(?:SCHEMA|EXTENSION|(?:SHELL )?TYPE|DOMAIN|FUNCTION|PROCEDURE|AGGREGATE|OPERATOR(?: CLASS| FAMILY)?|COLLATION|CONVERSION|TEXT SEARCH .*|SEQUENCE|FOREIGN DATA WRAPPER|SERVER|ACCESS METHOD|(?:PROCEDURAL )?LANGUAGE|CAST|TRANSFORM)$/;

/**
 * What to restore when schemas or tables are selected. A schema: itself and all in it. A table (view, sequence): with rows, keys,
 * indexes, constraints, triggers, defaults, rules, policies, statistics, owned sequences, comments and grants, and with its
 * partitions; a foreign key only if the other table comes too. In a new database also the schemas, extensions, types and functions
 * that these need; else they are expected to be there.
 * @throws Failure SelectionMissing
 */
export function selectEntries(
  contents: ArchiveContents,
  selection: ArchiveSelection,
  options: Partial<Pick<LoadOptions, 'freshDatabase' | 'without' | 'clean'>> = {},
): SelectedEntries {
  const { schemas = [], tables = [], excludeSchemas = [], excludeTables = [], excludeTableData = [] } = selection;
  const { without = [] } = options;
  const takesAll = schemas.length === 0 && tables.length === 0;
  const excludes = excludeSchemas.length + excludeTables.length + excludeTableData.length > 0;
  if (takesAll && !excludes && without.length === 0) return { entries: undefined, largeObjects: true, notes: [] };
  const index = indexArchive(contents);
  const excluded = findExcluded(index, selection);
  const left = findLeftOut(index, without);
  const isIn = (entry: ArchiveEntry): boolean => !excluded.entries.has(entry) && !left.entries.has(entry);
  if (takesAll) {
    const notes = [...left.notes, ...excluded.notes];
    if (excluded.entries.size === 0 && left.entries.size === 0)
      return { entries: undefined, largeObjects: true, notes };
    const entries = index.entries.filter(isIn);
    refuseBareRows(index, new Set(entries), left.entries);
    return { entries, largeObjects: true, notes };
  }
  const isFresh = options.freshDatabase === true;
  const chosen = new Set<ArchiveEntry>();
  for (const schema of schemas) for (const entry of findSchema(index, schema)) chosen.add(entry);
  const notes = noteMore('partitions in other schemas', addPartitions(index, chosen, [...chosen]));
  addPartitions(
    index,
    chosen,
    tables.map((table) => findTable(index, table)),
  );
  if (isFresh) notes.push(...noteMore('tables that others inherit from, or are made of', addParents(index, chosen)));
  notes.push(...addAttached(index, chosen, isFresh));
  if (isFresh) {
    addNeeded(index, chosen);
    addAttached(index, chosen, isFresh);
  }
  for (const entry of excluded.entries) chosen.delete(entry);
  refuseBareRows(index, chosen, left.entries);
  if (options.clean === true) refuseTornPartitions(index, chosen);
  notes.push(...noteChildren(index, chosen));
  if (index.entries.some(({ type }) => type.startsWith('BLOB'))) notes.push('left out: large objects');
  const entries = index.entries.filter((entry) => chosen.has(entry) && isIn(entry));
  return { entries, largeObjects: false, notes: capNotes([...notes, ...excluded.notes]) };
}

/** A new database has none of the tables that CREATE TABLE … INHERITS names. Returns what was added. */
function addParents(index: ArchiveIndex, chosen: Set<ArchiveEntry>): readonly ArchiveEntry[] {
  const more: ArchiveEntry[] = [];
  // What is added while a set is walked through is walked through, too.
  for (const entry of chosen) {
    if (!isTable(entry)) continue;
    const parents = index.dependenciesOf(entry).filter((found) => isTable(found) && !chosen.has(found));
    more.push(...addPartitions(index, chosen, parents));
  }
  return more;
}

function isTable({ type }: ArchiveEntry): boolean {
  return type === 'TABLE' || type === 'FOREIGN TABLE';
}

function noteMore(what: string, more: readonly ArchiveEntry[]): string[] {
  if (more.length === 0) return [];
  const shown = more.slice(0, maxNames).map(showEntry).join(', ');
  const rest = more.length > maxNames ? ` and ${more.length - maxNames} more` : '';
  return [`selected too, ${what}: ${shown}${rest}`];
}

function addNeeded(index: ArchiveIndex, chosen: Set<ArchiveEntry>): void {
  // What is added while a set is walked through is walked through, too.
  for (const entry of chosen) {
    for (const dependency of index.dependenciesOf(entry)) {
      if (chosen.has(dependency) || !needed.test(dependency.type)) continue;
      // A sequence that belongs to another table would bring that one.
      if (dependency.type === 'SEQUENCE' && index.dependenciesOf(dependency).some((other) => isRelation(other)))
        continue;
      chosen.add(dependency);
    }
  }
}

/** Tables that inherit from a chosen one (in archives before 14: its partitions, which cannot be told from them). */
function noteChildren(index: ArchiveIndex, chosen: ReadonlySet<ArchiveEntry>): readonly string[] {
  return index.entries
    .filter((entry) => entry.type === 'TABLE' && !chosen.has(entry))
    .flatMap((entry) => {
      const parent = index.dependenciesOf(entry).find((found) => found.type === 'TABLE' && chosen.has(found));
      return parent === undefined ? [] : [`not selected: ${showEntry(entry)}, a child of ${showEntry(parent)}`];
    });
}

function capNotes(notes: readonly string[]): readonly string[] {
  if (notes.length <= maxNotes) return notes;
  return [...notes.slice(0, maxNotes), `and ${notes.length - maxNotes} more of the kind`];
}
