import type { Manifest } from '../../domain/manifest.ts';
import { pause } from '../../storage/attempt.ts';
import type { Storage } from '../../storage/storage.ts';
import { findLack } from '../find-lack.ts';
import type { Workshop } from '../workshop.ts';

/** What a place does not list at first is looked for again, for ten seconds in all: some answer from a copy that is behind. */
const patience = { attempts: 5, firstDelayMs: 500, longestDelayMs: 8_000 };

/**
 * Compares what a manifest names with what the place itself lists in the folder of its attempt: every volume, under its very name, with
 * its size. A place that takes two names for one, forgets, or cuts short is found out here, whatever it said before.
 * @throws Failure StoredBytesDiffer with the first key that is not as it should be, and those of the listing
 */
export async function checkVolumes(
  storage: Storage,
  manifest: Manifest,
  { clock, random }: Pick<Workshop, 'clock' | 'random'>,
  signal: AbortSignal,
): Promise<void> {
  for (let failed = 1; ; failed += 1) {
    const lack = await findLack(storage, manifest, signal);
    if (lack === undefined) return;
    if (failed === patience.attempts) throw lack;
    await pause(failed, { ...patience, clock, random }, signal);
  }
}
