import { Failure } from '../../../api/failure.ts';

/** One alternative of a pattern, piece by piece. */
type Piece = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'one' | 'some' | 'any' | 'folders' };

const mostAlternatives = 256;

/**
 * A test for names: `*` is anything but `/`, `**` anything (and `**` with a slash behind it also nothing), `?` one character but `/`,
 * `{a,b}` either; nothing else is special. Time is bounded, whatever the pattern. @throws Failure TaskInvalid
 */
export function compileFilePattern(pattern: string): (name: string) => boolean {
  const alternatives = expandBraces(pattern).map(readPieces);
  return (name) => alternatives.some((pieces) => reachAll(pieces, name).at(-1)?.has(name.length));
}

/** A test for folders (with a slash at the end): whether a name below it could match. @throws Failure TaskInvalid */
export function compileFolderPattern(pattern: string): (folder: string) => boolean {
  const alternatives = expandBraces(pattern).map(readPieces);
  return (folder) =>
    alternatives.some((pieces) => reachAll(pieces, folder).some((places) => places.has(folder.length)));
}

/** What every name that matches begins with. */
export function literalPrefix(pattern: string): string {
  return /^[^*?{]*/.exec(pattern)?.[0] ?? '';
}

function expandBraces(pattern: string): readonly string[] {
  let open = [pattern];
  const done: string[] = [];
  while (open.length > 0) {
    const next: string[] = [];
    for (const text of open) {
      // The innermost first: braces may nest.
      const found = /\{([^{}]*)\}/.exec(text);
      if (found === null) done.push(text);
      else for (const part of (found[1] ?? '').split(',')) next.push(text.replace(found[0], () => part));
    }
    if (next.length + done.length > mostAlternatives) {
      throw new Failure('TaskInvalid', `the pattern means more than ${mostAlternatives} patterns`);
    }
    open = next;
  }
  return done;
}

function readPieces(pattern: string): readonly Piece[] {
  const pieces: Piece[] = [];
  for (const [token] of pattern.matchAll(/\*\*+\/|\*\*+|\*|\?|[^*?/]*\/|[^*?/]+/g)) {
    if (token.startsWith('**')) {
      const wholeSegment = token.endsWith('/') && (pieces.length === 0 || endsWithSlash(pieces.at(-1)));
      if (wholeSegment) pieces.push({ kind: 'folders' });
      else pieces.push({ kind: 'any' }, ...(token.endsWith('/') ? [{ kind: 'text', text: '/' } as const] : []));
    } else if (token === '*') pieces.push({ kind: 'some' });
    else if (token === '?') pieces.push({ kind: 'one' });
    else pieces.push({ kind: 'text', text: token });
  }
  return pieces;
}

function endsWithSlash(piece: Piece | undefined): boolean {
  return piece?.kind === 'folders' || (piece?.kind === 'text' && piece.text.endsWith('/'));
}

/** The places that can be reached after each piece, until there are none: never more work than pieces times characters. */
function reachAll(pieces: readonly Piece[], name: string): readonly ReadonlySet<number>[] {
  const all: ReadonlySet<number>[] = [];
  let places: ReadonlySet<number> = new Set([0]);
  for (const piece of pieces) {
    places = reach(piece, places, name);
    all.push(places);
    if (places.size === 0) break;
  }
  return all;
}

function reach(piece: Piece, places: ReadonlySet<number>, name: string): ReadonlySet<number> {
  const reached = new Set<number>();
  if (piece.kind === 'text') {
    for (const at of places) if (name.startsWith(piece.text, at)) reached.add(at + piece.text.length);
    return reached;
  }
  if (piece.kind === 'one') {
    for (const at of places) if (at < name.length && name[at] !== '/') reached.add(at + 1);
    return reached;
  }
  let going = false;
  for (let at = 0; at <= name.length; at += 1) {
    if (places.has(at)) {
      going = true;
      reached.add(at);
    } else if (going && (piece.kind !== 'folders' || name[at - 1] === '/')) {
      reached.add(at);
    }
    if (piece.kind === 'some' && name[at] === '/') going = false;
  }
  return reached;
}
