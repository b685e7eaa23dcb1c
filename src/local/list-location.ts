import { toFailure } from '../api/failure.ts';
import { parseManifestKey, parseProbeKey } from '../domain/layout.ts';
import { listObjects, manifestMaxBytes, parseManifest, type Manifest } from '../domain/manifest.ts';
import { checkSignature, isNoBackup } from '../runner/check-signature.ts';
import { readSmall } from '../runner/read-small.ts';
import type { ObjectStat, Storage } from '../storage/storage.ts';

/** A backup that lies in a location. */
export interface ListedBackup {
  readonly id: string;
  readonly namespace: string;
  readonly policy: string;
  readonly startedAt: string;
  readonly completedAt: string;
  readonly databases: readonly string[];
  readonly failed: readonly string[];
  readonly plainBytes: number;
  readonly storedBytes: number;
  readonly serverMajor: number;
  /** Every file that its manifest names is there and has its size. (What is in them, a restore checks.) */
  readonly complete: boolean;
  /** Of the manifest. */
  readonly key: string;
}

/** A file of somebody else. */
export interface ListedFile {
  readonly key: string;
  readonly bytes: number;
  readonly modifiedAt: string;
  /** What its first bytes look like, or why they could not be read. */
  readonly content: string;
}

export interface LocationListing {
  /** Newest first, and how many more there are. */
  readonly backups: readonly ListedBackup[];
  readonly moreBackups: number;
  readonly files: readonly ListedFile[];
  readonly moreFiles: number;
  /** Manifests that cannot be read, or are not signed as they must be. */
  readonly damaged: readonly { readonly key: string; readonly message: string }[];
  /** Folders that may not be read, the first of them: whatever is in them is not shown. */
  readonly closed: readonly string[];
}

const readsAtOnce = 4;
const closedShown = 20;
const attemptFile = /^[a-z0-9-]{1,63}\/[a-z0-9-]{1,40}\/[a-z0-9-]{1,57}\/[0-9a-f]{8}\/[^/]+$/;

/**
 * The newest `limit` backups and other files of a place. What is not signed as it must be is damaged. `recognise` looks at the beginning of a file.
 * @throws Failure of the place when it cannot be listed or read
 */
export async function listLocation(
  storage: Storage,
  limit: number,
  recognise: (storage: Storage, file: ObjectStat, signal: AbortSignal) => Promise<string>,
  signedBy: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<LocationListing> {
  const manifests = keepNewest(limit);
  const others = keepNewest(limit);
  const closed = new Set<string>();
  const note = (folder: string): void => void (closed.size < closedShown && closed.add(folder));
  for await (const found of storage.list('', undefined, signal, note)) {
    if (parseManifestKey(found.key) !== undefined) manifests.add(found);
    else if (parseProbeKey(found.key) === undefined && !attemptFile.test(found.key)) others.add(found);
  }
  const damaged: { readonly key: string; readonly message: string }[] = [];
  const backups = await inBatches(manifests.list(), async ({ key }) => {
    try {
      const bytes = await readSmall(storage, key, manifestMaxBytes, signal);
      const manifest = parseManifest(key, bytes.toString('utf8'));
      await checkSignature(storage, { manifest, bytes }, [signedBy], signal);
      return [describeBackup(key, manifest, await isComplete(storage, manifest, key, signal))];
    } catch (error) {
      const failure = toFailure(error);
      const { reason, message } = failure;
      if (isNoBackup(failure)) damaged.push({ key, message });
      else if (reason !== 'ObjectMissing') throw error;
      return [];
    }
  });
  const files = await inBatches(others.list(), async (file) => [
    {
      key: file.key,
      bytes: file.bytes,
      modifiedAt: new Date(file.modifiedAtMs).toISOString(),
      content: await recognise(storage, file, signal),
    },
  ]);
  return {
    backups: backups.toSorted((a, b) => b.startedAt.localeCompare(a.startedAt, 'en')),
    moreBackups: manifests.left(),
    files,
    moreFiles: others.left(),
    damaged,
    closed: [...closed].sort(),
  };
}

function describeBackup(key: string, manifest: Manifest, complete: boolean): ListedBackup {
  const named = (wanted: string): readonly string[] =>
    manifest.databases.filter(({ outcome }) => outcome === wanted).map(({ name }) => name);
  return {
    id: manifest.backup.id,
    namespace: manifest.namespace,
    policy: manifest.policy.name,
    startedAt: manifest.startedAt,
    completedAt: manifest.completedAt,
    databases: named('stored'),
    failed: named('failed'),
    plainBytes: manifest.plainBytes,
    storedBytes: manifest.storedBytes,
    serverMajor: manifest.server.major,
    complete,
    key,
  };
}

async function isComplete(storage: Storage, manifest: Manifest, key: string, signal: AbortSignal): Promise<boolean> {
  const there = new Map<string, number>();
  for await (const { key: found, bytes } of storage.list(key.replace(/[^/]+$/, ''), undefined, signal)) {
    there.set(found, bytes);
  }
  return listObjects(manifest).every(
    ({ key: each, bytes }) => there.has(each) && (bytes ?? there.get(each)) === there.get(each),
  );
}

/** The newest of many, without keeping them all. */
function keepNewest(limit: number): {
  readonly add: (one: ObjectStat) => void;
  readonly list: () => readonly ObjectStat[];
  readonly left: () => number;
} {
  let kept: ObjectStat[] = [];
  let seen = 0;
  const trim = (): void => {
    kept = kept.sort((a, b) => b.modifiedAtMs - a.modifiedAtMs || (a.key < b.key ? 1 : -1)).slice(0, limit);
  };
  return {
    add: (one) => {
      seen += 1;
      kept.push(one);
      if (kept.length > 2 * limit + 1000) trim();
    },
    list: () => {
      trim();
      return kept;
    },
    left: () => Math.max(0, seen - limit),
  };
}

/** In the order of the items; a few at once. */
async function inBatches<T, R>(items: readonly T[], work: (item: T) => Promise<readonly R[]>): Promise<readonly R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += readsAtOnce) {
    results.push(...(await Promise.all(items.slice(start, start + readsAtOnce).map(work))).flat());
  }
  return results;
}
