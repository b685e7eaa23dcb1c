import { posix } from 'node:path';
import type { Source } from './read-source.ts';

/** Files that import each other, directly or through others, types included: one sentence for each shortest way round. */
export function findCircles(sources: readonly Source[]): string[] {
  const known = new Set(sources.map(({ path }) => path));
  const targets = new Map(
    sources.map(({ path, imports }) => [
      path,
      imports
        .filter(({ specifier }) => specifier.startsWith('.'))
        .map(({ specifier }) => posix.join(posix.dirname(path), specifier))
        .filter((target) => known.has(target)),
    ]),
  );
  const told = new Set<string>();
  return sources.flatMap(({ path }) => {
    if (told.has(path)) return [];
    const circle = wayBack(path, targets);
    if (circle === undefined) return [];
    for (const one of circle) told.add(one);
    return [`${path}: imports itself: ${[...circle, path].join(' → ')}`];
  });
}

/** The shortest way from a file to itself. */
function wayBack(start: string, targets: ReadonlyMap<string, readonly string[]>): readonly string[] | undefined {
  const cameFrom = new Map<string, string>();
  const reached = [start];
  for (const path of reached) {
    for (const target of targets.get(path) ?? []) {
      if (target === start) return trace(path, cameFrom);
      if (cameFrom.has(target)) continue;
      cameFrom.set(target, path);
      reached.push(target);
    }
  }
  return undefined;
}

function trace(end: string, cameFrom: ReadonlyMap<string, string>): readonly string[] {
  const before = cameFrom.get(end);
  return before === undefined ? [end] : [...trace(before, cameFrom), end];
}
