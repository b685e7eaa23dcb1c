import { isAttemptOf } from '../../domain/attempt.ts';
import { parseAttemptKey, parseManifestKey } from '../../domain/layout.ts';
import { listObjects, type Manifest } from '../../domain/manifest.ts';
import type { Storage } from '../../storage/storage.ts';
import { deleteKeys } from '../delete-keys.ts';

/** A folder with more is left to inspections. */
const mostKeys = 10_000;

interface Listed {
  readonly sizes: Map<string, number>;
  /** By the place's clock; Infinity once it does not say. */
  newestMs: number;
}

/**
 * Deletes what earlier tries of a backup left in its folder, while its manifest still stands: only of tries of this very Backup that the
 * manifest does not name, and whose every object is older than it. They are over, and no manifest can ever be put beside this one. It is done before
 * the manifest goes, because afterwards nobody knows any more what was older.
 * @returns bytes that were freed @throws Failure of the place
 */
export async function clearRemains(
  storage: Storage,
  folder: string,
  manifestKey: string,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<number> {
  const named = new Set([manifest.attempt, ...listObjects(manifest).map(({ key }) => parseAttemptKey(key)?.attempt)]);
  const others = new Map<string, Listed>();
  let manifestMs = 0;
  let keys = 0;
  for await (const { key, bytes, modifiedAtMs } of storage.list(folder, undefined, signal)) {
    if (key === manifestKey && parseManifestKey(key) !== undefined) manifestMs = modifiedAtMs;
    const attempt = parseAttemptKey(key)?.attempt;
    if (attempt === undefined || named.has(attempt) || !isAttemptOf(attempt, manifest.backup.uid)) continue;
    keys += 1;
    if (keys > mostKeys) return 0;
    const seen = others.get(attempt) ?? { sizes: new Map<string, number>(), newestMs: 0 };
    seen.sizes.set(key, bytes);
    seen.newestMs = Math.max(seen.newestMs, modifiedAtMs > 0 ? modifiedAtMs : Infinity);
    others.set(attempt, seen);
  }
  let freed = 0;
  for (const { sizes, newestMs } of others.values()) {
    if (newestMs >= manifestMs) continue;
    const failure = await deleteKeys(storage, [...sizes.keys()], (key) => (freed += sizes.get(key) ?? 0), signal);
    if (failure !== undefined) throw failure;
  }
  return freed;
}
