import { keptProbe, parseProbeKey, probeFolder, probePrefix } from '../../domain/layout.ts';
import type { ObjectStat } from '../../storage/storage.ts';
import { findUnfinished } from './probe-steps.ts';
import type { Probe } from './probe-types.ts';

/** By the place's own clock. No probe takes so long. */
const oldMs = 24 * 3600 * 1000;
/** Keys that one inspection looks at. */
const looksMax = 1000;

/**
 * Removes what probes left that were killed: keys of probes, and nothing else, that are a day older than the one that was just written
 * (`nowMs`, by the place's clock). Of objects that stay on purpose only this inspector's own go, which it kept when the location was
 * AppendOnly. A convenience: what fails here is the next inspection's.
 */
export async function removeOldProbes(probe: Probe, nowMs: number): Promise<void> {
  const { storage, signal } = probe;
  const kept = probeFolder(probe.inspector, keptProbe);
  const isOld = (sinceMs: number): boolean => sinceMs > 0 && sinceMs < nowMs - oldMs;
  const goes = ({ key, modifiedAtMs }: ObjectStat): boolean => {
    const about = parseProbeKey(key);
    if (about === undefined) return false;
    return key.startsWith(kept) || (about.attempt !== keptProbe && isOld(modifiedAtMs));
  };
  try {
    let looked = 0;
    for await (const found of storage.list(probePrefix, undefined, signal)) {
      if (goes(found)) await storage.delete(found.key, signal);
      looked += 1;
      if (looked === looksMax) break;
    }
    const unfinished = (await findUnfinished(storage, probePrefix, signal)) ?? [];
    for (const item of unfinished) {
      const isOurs = item.uploadId === undefined || parseProbeKey(item.key) !== undefined;
      if (isOurs && isOld(item.sinceMs)) await storage.removeUnfinished(item, signal);
    }
  } catch {
    signal.throwIfAborted();
  }
}
