import type { Failure } from '../api/failure.ts';

/** @param mayHaveMore members that nobody asked for are left alone @throws what `damaged` makes, unless both say the same */
export function compareContext(
  has: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, string>>,
  damaged: (what: string) => Failure,
  mayHaveMore = false,
): void {
  const names = [...new Set([...Object.keys(wanted), ...(mayHaveMore ? [] : Object.keys(has))])].sort();
  for (const name of names) {
    if (has[name] === wanted[name]) continue;
    throw damaged(`it belongs to ${name} ${quote(has[name])}, not to ${quote(wanted[name])}`);
  }
}

const quote = (text: string | undefined): string => (text === undefined ? 'none' : JSON.stringify(text.slice(0, 200)));
