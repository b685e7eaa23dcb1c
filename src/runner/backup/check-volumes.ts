import { Failure } from '../../api/failure.ts';
import { backupFolder } from '../../domain/layout.ts';
import { listObjects, type Manifest } from '../../domain/manifest.ts';
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
  const wanted = new Map(listObjects(manifest).map(({ key, bytes }) => [key, bytes]));
  const folded = new Set([...wanted.keys()].map((key) => key.toLowerCase()));
  /** What is listed in another case than it was stored, once for each name: a place that lists in lower case is no liar. */
  const inOtherCase = new Set<string>();
  const folder = `${backupFolder(namespace, policy.name, backup.id)}${attempt}/`;
  for await (const { key, bytes } of storage.list(folder, undefined, signal)) {
    const sent = wanted.get(key);
    if (!wanted.has(key)) {
      if (folded.has(key.toLowerCase())) inOtherCase.add(key.toLowerCase());
      continue;
    }
    if (sent !== undefined && sent !== bytes) return differs(key, sent, bytes);
    wanted.delete(key);
  }
  for (const [key, sent] of wanted) {
    const found = inOtherCase.delete(key.toLowerCase()) ? await storage.stat(key, signal) : undefined;
    if (found === undefined) return missing(key);
    if (sent !== undefined && found.bytes !== sent) return differs(key, sent, found.bytes);
  }
  return undefined;
}

function differs(key: string, sent: number, held: number): Failure {
  return new Failure('StoredBytesDiffer', `${key}: ${sent} bytes were sent, the place lists ${held}`);
}

function missing(key: string): Failure {
  return new Failure('StoredBytesDiffer', `${key} was stored, but the place does not list it`, {
    hint: 'look for lifecycle rules that delete early, and for a file system that takes several names for one',
  });
}
