import { isRelation, showEntry, type ArchiveIndex } from './archive-index.ts';
import type { ArchiveEntry } from './load-types.ts';

/** What becomes of an entry when others are chosen: it comes along, it does not, or it does not and people should know. */
type Verdict = true | false | { readonly note: string };

interface Chosen {
  has(entry: ArchiveEntry): boolean;
}

type Rule = (entry: ArchiveEntry, chosen: Chosen, index: ArchiveIndex, isFresh: boolean) => Verdict;

/** Named exactly as its relation. */
const sameName: Rule = (entry, chosen, index) => {
  const relation = index.relation(entry.schema, entry.name);
  return relation !== undefined && chosen.has(relation);
};

const ofTable: Rule = (entry, chosen, index) => {
  const table = index.tableOf(entry);
  return table !== undefined && chosen.has(table);
};

const ofAny: Rule = (entry, chosen, index) => index.dependenciesOf(entry).some((found) => chosen.has(found));

const ofAnyRelation: Rule = (entry, chosen, index) =>
  index.dependenciesOf(entry).some((found) => isRelation(found) && chosen.has(found));

/** Between two tables: only if the other one comes too. */
const withOthers =
  (what: string, onlyWhenFresh: boolean): Rule =>
  (entry, chosen, index, isFresh) => {
    const table = index.tableOf(entry);
    if (table === undefined || !chosen.has(table)) return false;
    if (onlyWhenFresh && !isFresh) return true;
    const missing = index.dependenciesOf(entry).find((found) => isRelation(found) && !chosen.has(found));
    if (missing === undefined) return true;
    const name = entry.name.slice(table.name.length + 1);
    return { note: `left out: ${what} ${name} of ${showEntry(table)}, because ${showEntry(missing)} is not selected` };
  };

const tableAttach: Rule = (entry, chosen, index) => {
  const child = index.relation(entry.schema, entry.name);
  if (child === undefined || !chosen.has(child)) return false;
  const parent = index.dependenciesOf(entry).find((found) => isRelation(found) && found !== child);
  if (parent === undefined || chosen.has(parent)) return true;
  return { note: `${showEntry(child)} becomes a table of its own, because ${showEntry(parent)} is not selected` };
};

const indexAttach: Rule = (entry, chosen, index) => {
  const dependencies = index.dependenciesOf(entry);
  return dependencies.length > 0 && dependencies.every((found) => chosen.has(found));
};

/** The table that a sequence belongs to is a dependency of the sequence. */
const ownedBy: Rule = (entry, chosen, index) =>
  index
    .dependenciesOf(entry)
    .some(
      (sequence) =>
        chosen.has(sequence) &&
        index.dependenciesOf(sequence).every((found) => !isRelation(found) || chosen.has(found)),
    );

const publication: Rule = (entry, chosen, index) =>
  index.dependenciesOf(entry).some((found) => isRelation(found) && chosen.has(found))
    ? { note: `left out: publications of ${showEntry(entry)}` }
    : false;

/** What comes along with what it belongs to. Other types come only by their schema, or because something needs them. */
const rules: Readonly<Record<string, Rule | undefined>> = {
  'TABLE DATA': sameName,
  'MATERIALIZED VIEW DATA': sameName,
  'SEQUENCE SET': sameName,
  'ROW SECURITY': sameName,
  'STATISTICS DATA': ofAny,
  DEFAULT: ofTable,
  CONSTRAINT: ofTable,
  'CHECK CONSTRAINT': ofTable,
  TRIGGER: ofTable,
  'FK CONSTRAINT': withOthers('foreign key', false),
  RULE: withOthers('rule', true),
  POLICY: withOthers('policy', true),
  INDEX: ofAnyRelation,
  STATISTICS: ofAnyRelation,
  COMMENT: ofAny,
  ACL: ofAny,
  'SECURITY LABEL': ofAny,
  'SEQUENCE OWNED BY': ownedBy,
  'TABLE ATTACH': tableAttach,
  'INDEX ATTACH': indexAttach,
  'PUBLICATION TABLE': publication,
  'PUBLICATION TABLES IN SCHEMA': publication,
};

/** Types whose other end may be missing: not chosen by their schema alone. */
export const hasTwoEnds: ReadonlySet<string> = new Set([
  'FK CONSTRAINT',
  'SEQUENCE OWNED BY',
  'TABLE ATTACH',
  'INDEX ATTACH',
  'PUBLICATION TABLE',
  'PUBLICATION TABLES IN SCHEMA',
]);

/**
 * Adds to `chosen` what belongs to it. Returns what people should know was left out. Some belong to what came along itself (a comment to an
 * index): only those that need what a round brought are looked at in the next.
 */
export function addAttached(index: ArchiveIndex, chosen: Set<ArchiveEntry>, isFresh: boolean): readonly string[] {
  const judge = (entry: ArchiveEntry): Verdict => rules[entry.type]?.(entry, chosen, index, isFresh) ?? false;
  let candidates: Iterable<ArchiveEntry> = index.entries;
  for (;;) {
    const came: ArchiveEntry[] = [];
    for (const entry of candidates) {
      if (chosen.has(entry) || judge(entry) !== true) continue;
      chosen.add(entry);
      came.push(entry);
    }
    if (came.length === 0) break;
    candidates = new Set(came.flatMap((entry) => index.dependentsOf(entry)));
  }
  return index.entries.flatMap((entry) => {
    const verdict = chosen.has(entry) || judge(entry);
    return typeof verdict === 'object' ? [verdict.note] : [];
  });
}
