import { Failure } from '../api/failure.ts';
import { indexArchive, isRelation, showEntry, type ArchiveIndex } from './archive-index.ts';
import { addAttached, hasTwoEnds } from './attached-entries.ts';
import type { ArchiveContents, ArchiveEntry, ArchiveSelection } from './load-types.ts';

export interface SelectedEntries {
  /** In the archive's order; undefined: all. */
  readonly entries: readonly ArchiveEntry[] | undefined;
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
  options: { readonly freshDatabase?: boolean } = {},
): SelectedEntries {
  const { schemas = [], tables = [] } = selection;
  if (schemas.length === 0 && tables.length === 0) return { entries: undefined, notes: [] };
  const index = indexArchive(contents);
  const isFresh = options.freshDatabase === true;
  const chosen = new Set<ArchiveEntry>();
  for (const schema of schemas) for (const entry of findSchema(index, schema)) chosen.add(entry);
  for (const table of tables) addTable(index, chosen, findTable(index, table));
  const notes = [...addAttached(index, chosen, isFresh)];
  if (isFresh) {
    addNeeded(index, chosen);
    addAttached(index, chosen, isFresh);
  }
  notes.push(...noteChildren(index, chosen));
  if (index.entries.some(({ type }) => type.startsWith('BLOB'))) notes.push('left out: large objects');
  return { entries: index.entries.filter((entry) => chosen.has(entry)), notes: capNotes(notes) };
}

function findSchema(index: ArchiveIndex, schema: string): readonly ArchiveEntry[] {
  const found = index.inSchema(schema);
  if (found.length > 0) return found.filter(({ type }) => !hasTwoEnds.has(type));
  const there = index.entries.flatMap((entry) => (entry.type === 'SCHEMA' ? [entry.name] : (entry.schema ?? [])));
  throw missing(`the archive has no schema ${schema}`, 'schemas', [...new Set(there)]);
}

function findTable(index: ArchiveIndex, wanted: string): ArchiveEntry {
  // A name may have dots in it: each of them could be the one behind the schema.
  const exact = [...wanted.matchAll(/\./g)]
    .flatMap(({ index: at }) => index.relationsNamed(wanted.slice(at + 1)))
    .filter((entry) => `${entry.schema}.${entry.name}` === wanted);
  const found = exact.length > 0 ? exact : index.relationsNamed(wanted);
  const [first] = found;
  if (first !== undefined && found.length === 1) return first;
  if (first !== undefined)
    throw missing(`${wanted} could be several tables of the archive`, 'tables', found.map(showEntry));
  // Those that are written alike come first.
  const bare = wanted.slice(wanted.lastIndexOf('.') + 1).toLowerCase();
  const schema = wanted.slice(0, Math.max(0, wanted.indexOf('.')));
  const likeness = (entry: ArchiveEntry) =>
    Number(entry.name.toLowerCase() === bare) * 2 + Number(entry.schema === schema && entry.type !== 'SEQUENCE');
  const relations = index.entries.filter(isRelation);
  const names = relations.toSorted((a, b) => likeness(b) - likeness(a)).map(showEntry);
  throw missing(`the archive has no table ${wanted}`, 'tables', names);
}

function missing(message: string, what: string, names: readonly string[]): Failure {
  const shown = names.slice(0, maxNames).join(', ');
  const more = names.length > maxNames ? `, and ${names.length - maxNames} more` : '';
  return new Failure('SelectionMissing', `${message}; there are: ${shown === '' ? `no ${what}` : shown}${more}`);
}

/** A table with its partitions, which hold its rows, and the sequences of its columns. */
function addTable(index: ArchiveIndex, chosen: Set<ArchiveEntry>, wanted: ArchiveEntry): void {
  // No recursion: how deep partitions are nested is for the archive to say.
  const waiting = [wanted];
  for (let table = waiting.pop(); table !== undefined; table = waiting.pop()) {
    if (chosen.has(table)) continue;
    chosen.add(table);
    for (const entry of index.dependentsOf(table)) {
      if (entry.type === 'SEQUENCE') chosen.add(entry);
      const partition = entry.type === 'TABLE ATTACH' ? index.relation(entry.schema, entry.name) : undefined;
      if (partition !== undefined) waiting.push(partition);
    }
  }
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
