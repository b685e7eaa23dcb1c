import type { Bytes } from '../pipeline/bytes.ts';
import type { Damaged, TocEntry } from './archive-toc.ts';
import type { Archive } from './load-types.ts';
import { rewriteDefinitions, type RewriteDefinition } from './rewrite-definitions.ts';

/**
 * What some servers keep among a column's options for themselves, and other servers refuse as `unrecognized parameter`. A pg_dump
 * that knows of it leaves it out; an older one, of any major version, writes it for every column of every table. (`pg_attver`: a
 * version of the column's definition, by which the server sees that a plan is outdated; Debian's 15.20 and later.)
 */
const internalOptions = ['pg_attver'] as const;
export const internalOptionPattern = `^(${internalOptions.join('|')})=`;
const marks = internalOptions.map((name) => Buffer.from(`${name}=`));

const name = '(?:"[^"]*")+|[a-z_][a-z0-9_]*';
/** Literals and quoted names first, so that nothing in them is taken for a statement. (A doubled quote is two of them side by side.) */
const pieces = new RegExp(
  `'[^']*'|^(ALTER (?:FOREIGN )?TABLE ONLY (?:(?:${name})\\.)?(?:${name}) ALTER COLUMN (?:${name}) SET \\()([^()'"]*)(\\);\\n?)|"[^"]*"`,
  'gm',
);
const isInternal = new RegExp(internalOptionPattern);

/** Of an entry that is being read. */
export function hasInternalOptions({ type, definition }: TocEntry): boolean {
  if (definition === undefined || !/^(?:FOREIGN )?TABLE$|^MATERIALIZED VIEW$/.test(type)) return false;
  return marks.some((mark) => definition.includes(mark));
}

/** The statements of an entry without those options; `count` is how many there were. */
export function withoutInternalOptions(definition: string): { readonly text: string; readonly count: number } {
  let count = 0;
  const text = definition.replace(pieces, (whole: string, before?: string, options?: string, after?: string) => {
    if (before === undefined || options === undefined || after === undefined) return whole;
    const all = options.split(', ');
    const kept = all.filter((option) => !isInternal.test(option));
    count += all.length - kept.length;
    if (kept.length === all.length) return whole;
    return kept.length === 0 ? '' : `${before}${kept.join(', ')}${after}`;
  });
  return { text, count };
}

/** The definition of an entry without them; `count` is how many there were. Undefined: it has none. */
export function rewriteInternalOptions(entry: TocEntry): { readonly text: string; readonly count: number } | undefined {
  if (!hasInternalOptions(entry)) return undefined;
  return withoutInternalOptions(entry.definition?.toString('latin1') ?? '');
}

/**
 * An archive (of a directory: its toc.dat) without internal options. `onEnd` is told how many were left out, or undefined when the archive
 * is of a version that nobody knows here: it passes unchanged. @throws what `source` throws, or what `damaged` makes
 */
export function leaveOutInternalOptions(
  source: Bytes,
  damaged: Damaged,
  onEnd: (count: number | undefined) => void = () => {},
  format: Archive['format'] = 'custom',
): AsyncGenerator<Uint8Array, void, void> {
  let total = 0;
  const rewrite: RewriteDefinition = (entry) => {
    const found = rewriteInternalOptions(entry);
    total += found?.count ?? 0;
    return found?.text;
  };
  return rewriteDefinitions(source, damaged, format, rewrite, (isKnown) => onEnd(isKnown ? total : undefined));
}
