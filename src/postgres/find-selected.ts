import { Failure } from '../api/failure.ts';
import { hasTwoEnds } from './attached-entries.ts';
import { isRelation, showEntry, type ArchiveIndex } from './archive-index.ts';
import type { ArchiveEntry } from './load-types.ts';

const maxNames = 20;

/** A schema and all in it, but for what has another end. @throws Failure SelectionMissing */
export function findSchema(index: ArchiveIndex, schema: string): readonly ArchiveEntry[] {
  const found = index.inSchema(schema);
  if (found.length > 0) return found.filter(({ type }) => !hasTwoEnds.has(type));
  const there = index.entries.flatMap((entry) => (entry.type === 'SCHEMA' ? [entry.name] : (entry.schema ?? [])));
  throw missing(`the archive has no schema ${schema}`, 'schemas', [...new Set(there)]);
}

/** By its name as people write it. @throws Failure SelectionMissing */
export function findTable(index: ArchiveIndex, wanted: string): ArchiveEntry {
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
