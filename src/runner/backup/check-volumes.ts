import { Failure } from '../../api/failure.ts';
import { backupFolder } from '../../domain/layout.ts';
import { listArtifacts, type Manifest } from '../../domain/manifest.ts';
import { pause } from '../../storage/attempt.ts';
import type { Storage } from '../../storage/storage.ts';
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

async function findLack(storage: Storage, manifest: Manifest, signal: AbortSignal): Promise<Failure | undefined> {
  const { namespace, policy, backup, attempt } = manifest;
  const wanted = new Map(
    listArtifacts(manifest).flatMap(({ volumes }) => volumes.map(({ key, bytes }) => [key, bytes])),
  );
  for await (const { key, bytes } of storage.list(
    `${backupFolder(namespace, policy.name, backup.id)}${attempt}/`,
    undefined,
    signal,
  )) {
    const sent = wanted.get(key);
    if (sent !== undefined && sent !== bytes)
      return new Failure('StoredBytesDiffer', `${key}: ${sent} bytes were sent, the place lists ${bytes}`);
    wanted.delete(key);
  }
  const [missing] = wanted.keys();
  if (missing === undefined) return undefined;
  return new Failure('StoredBytesDiffer', `${missing} was stored, but the place does not list it`, {
    hint: 'look for lifecycle rules that delete early, and for a file system that does not tell upper from lower case',
  });
}
