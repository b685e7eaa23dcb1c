import type { LeavableKind } from '../api/restore-options.ts';
import type { ArchiveIndex } from './archive-index.ts';
import type { ArchiveEntry } from './load-types.ts';

/** By the types of entries; tablespaces are none. */
const kinds: Readonly<Record<string, LeavableKind | undefined>> = {
  COMMENT: 'comments',
  PUBLICATION: 'publications',
  'PUBLICATION TABLE': 'publications',
  'PUBLICATION TABLES IN SCHEMA': 'publications',
  SUBSCRIPTION: 'subscriptions',
  'SUBSCRIPTION TABLE': 'subscriptions',
  'EVENT TRIGGER': 'eventTriggers',
  'SECURITY LABEL': 'securityLabels',
  EXTENSION: 'extensions',
  POLICY: 'policies',
  'ROW SECURITY': 'policies',
};

/** What is said about something else, and goes with it. */
const about: ReadonlySet<string> = new Set(['COMMENT', 'ACL', 'SECURITY LABEL']);
/** Of a table or sequence that is not in an archive with definitions: an extension makes it. */
const ofOwnTables: ReadonlySet<string> = new Set(['TABLE DATA', 'SEQUENCE SET', 'ROW SECURITY']);

/** What of an archive is left out by its kind, with what is said about it, and how many by kind for people. */
export function findLeftOut(
  index: ArchiveIndex,
  without: readonly LeavableKind[],
): { readonly entries: ReadonlySet<ArchiveEntry>; readonly notes: readonly string[] } {
  const counts = new Map<LeavableKind, number>();
  const entries = new Set<ArchiveEntry>();
  for (const entry of index.entries) {
    const kind = kinds[entry.type];
    if (kind === undefined || !without.includes(kind)) continue;
    entries.add(entry);
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  if (entries.size === 0) return { entries, notes: [] };
  for (const entry of index.entries) {
    if (!entries.has(entry) && goesWith(entry, index, entries, counts.has('extensions'))) entries.add(entry);
  }
  return { entries, notes: [tellLeftOut(counts)] };
}

function goesWith(
  entry: ArchiveEntry,
  index: ArchiveIndex,
  left: ReadonlySet<ArchiveEntry>,
  withExtensions: boolean,
): boolean {
  if (about.has(entry.type)) return index.dependenciesOf(entry).some((found) => left.has(found));
  if (!withExtensions) return false;
  if (entry.type === 'POLICY') return index.tableOf(entry) === undefined;
  return ofOwnTables.has(entry.type) && index.relation(entry.schema, entry.name) === undefined;
}

/** Such as `left out, as options.without says: 2 publications`. */
export function tellLeftOut(counts: ReadonlyMap<LeavableKind, number>): string {
  return `left out, as options.without says: ${[...counts].map(([kind, count]) => `${kind} (${count})`).join(', ')}`;
}
