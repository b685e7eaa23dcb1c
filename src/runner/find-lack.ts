import { Failure } from '../api/failure.ts';
import { backupFolder } from '../domain/layout.ts';
import { listObjects, type Manifest } from '../domain/manifest.ts';
import type { Storage } from '../storage/storage.ts';

/**
 * The first thing that a manifest names and that the place does not list as it should, in the folder of its attempt: every volume, under its
 * very name, with its size. Undefined when all is there.
 * @throws Failure of the place: then nothing is known
 */
export async function findLack(
  storage: Storage,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<Failure | undefined> {
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
