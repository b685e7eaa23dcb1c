import type { ArchiveContents, ArchiveEntry } from './load-types.ts';
import { quoteName } from './quote.ts';
import { typesNamedAfterTable } from './types-named-after-table.ts';

const relationTypes: ReadonlySet<string> = new Set(['TABLE', 'FOREIGN TABLE', 'VIEW', 'MATERIALIZED VIEW', 'SEQUENCE']);

export function isRelation(entry: ArchiveEntry): boolean {
  return relationTypes.has(entry.type);
}

/** For messages; line breaks would break them. */
export function showEntry(entry: Pick<ArchiveEntry, 'schema' | 'name'>): string {
  return `${entry.schema === undefined ? '' : `${entry.schema}.`}${entry.name}`.replaceAll(/\s/g, ' ');
}

/** The entries of an archive, and how they hang together. */
export interface ArchiveIndex {
  readonly entries: readonly ArchiveEntry[];
  /** Those that are in the archive. */
  dependenciesOf(entry: ArchiveEntry): readonly ArchiveEntry[];
  /** Those that name it as what they need, in the archive's order. */
  dependentsOf(entry: ArchiveEntry): readonly ArchiveEntry[];
  /** A schema, and all in it. */
  inSchema(schema: string): readonly ArchiveEntry[];
  /** Tables, views and sequences of a name, in whatever schema. */
  relationsNamed(name: string): readonly ArchiveEntry[];
  relation(schema: string | undefined, name: string): ArchiveEntry | undefined;
  /** Of a trigger, constraint, default, rule or policy: the table or view that it is of. */
  tableOf(entry: ArchiveEntry): ArchiveEntry | undefined;
}

export function indexArchive({ entries }: ArchiveContents): ArchiveIndex {
  const byId = new Map(entries.map((entry) => [entry.dumpId, entry]));
  const key = (schema: string | undefined, name: string) => `${schema ?? ''}\0${name}`;
  const relations = new Map(entries.filter(isRelation).map((entry) => [key(entry.schema, entry.name), entry]));
  const dependents = new Map<number, ArchiveEntry[]>();
  const bySchema = new Map<string, ArchiveEntry[]>();
  const byName = new Map<string, ArchiveEntry[]>();
  for (const entry of entries) {
    for (const id of new Set(entry.dependencies)) addTo(dependents, id, entry);
    const schema = entry.type === 'SCHEMA' ? entry.name : entry.schema;
    if (schema !== undefined) addTo(bySchema, schema, entry);
    if (isRelation(entry)) addTo(byName, entry.name, entry);
  }
  const dependenciesOf = (entry: ArchiveEntry): readonly ArchiveEntry[] =>
    [...new Set(entry.dependencies)].map((id) => byId.get(id)).filter((found) => found !== undefined);
  return {
    entries,
    dependenciesOf,
    dependentsOf: ({ dumpId }) => dependents.get(dumpId) ?? [],
    inSchema: (schema) => bySchema.get(schema) ?? [],
    relationsNamed: (name) => byName.get(name) ?? [],
    relation: (schema, name) => relations.get(key(schema, name)),
    tableOf(entry) {
      if (!typesNamedAfterTable.has(entry.type)) return undefined;
      const possible = dependenciesOf(entry)
        .filter(
          (found) => isRelation(found) && found.schema === entry.schema && entry.name.startsWith(`${found.name} `),
        )
        .toSorted((a, b) => b.name.length - a.name.length);
      // `a b c` is c of "a b", or "b c" of a: a name with a space stands in quotes in the statement that drops it.
      return (
        possible.find(
          ({ name }) => possible.length === 1 || entry.dropStatement?.includes(`.${quoteName(name)}`) === true,
        ) ?? possible.at(-1)
      );
    },
  };
}

function addTo<Key>(map: Map<Key, ArchiveEntry[]>, key: Key, entry: ArchiveEntry): void {
  const there = map.get(key);
  if (there === undefined) map.set(key, [entry]);
  else there.push(entry);
}
