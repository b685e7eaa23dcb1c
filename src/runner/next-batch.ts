import { manifestMaxBytes } from '../domain/manifest.ts';

const mostAtOnce = 8;

/** What is read at once, from an index on: at most eight manifests, or fewer, and together not larger than one may be. */
export function nextBatch<T extends { readonly bytes: number }>(
  listed: readonly T[],
  from: number,
  atOnce = mostAtOnce,
): readonly T[] {
  const batch: T[] = [];
  let bytes = 0;
  for (const found of listed.slice(from, from + atOnce)) {
    bytes += Math.min(found.bytes, manifestMaxBytes);
    if (batch.length > 0 && bytes > manifestMaxBytes) break;
    batch.push(found);
  }
  return batch;
}
