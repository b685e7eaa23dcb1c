import { Failure, toFailure } from '../../api/failure.ts';
import { manifestKey, parseAttemptKey, parseManifestKey } from '../../domain/layout.ts';
import { listObjects, manifestMaxBytes, parseManifest } from '../../domain/manifest.ts';
import type { ObjectStat, Storage } from '../../storage/storage.ts';
import { readSmall } from '../read-small.ts';

/** Volumes of one try in the folder of a backup. */
export interface AttemptSeen {
  objects: number;
  bytes: number;
  /** By the place's clock; 0 when it does not say. */
  oldestMs: number;
  newestMs: number;
}

/** The folder of a backup, as a listing shows it. */
export interface FolderSeen {
  readonly namespace: string;
  readonly policy: string;
  readonly backup: string;
  hasManifest: boolean;
  readonly attempts: Map<string, AttemptSeen>;
}

/** Tries in one folder that are looked at; nobody has more. What is beyond is nobody's remains. */
const mostAttempts = 1000;

/** The folder that a key of ours belongs to, as `policy/backup`; undefined of foreign objects. */
export function folderOf(key: string): string | undefined {
  const about = parseAttemptKey(key) ?? parseManifestKey(key);
  return about === undefined ? undefined : `${about.policy}/${about.backup}`;
}

export function addToFolder(folder: FolderSeen | undefined, found: ObjectStat): FolderSeen | undefined {
  const volume = parseAttemptKey(found.key);
  const about = volume ?? parseManifestKey(found.key);
  if (about === undefined) return folder;
  const seen = folder ?? { ...about, hasManifest: false, attempts: new Map<string, AttemptSeen>() };
  if (volume === undefined) {
    seen.hasManifest = true;
    return seen;
  }
  const { bytes, modifiedAtMs } = found;
  const before = seen.attempts.get(volume.attempt);
  if (before === undefined) {
    if (seen.attempts.size < mostAttempts)
      seen.attempts.set(volume.attempt, { objects: 1, bytes, oldestMs: modifiedAtMs, newestMs: modifiedAtMs });
    return seen;
  }
  before.objects += 1;
  before.bytes += bytes;
  // Once a time is not known, the oldest is not.
  before.oldestMs = Math.min(before.oldestMs, modifiedAtMs);
  before.newestMs = Math.max(before.newestMs, modifiedAtMs);
  return seen;
}

/**
 * The tries in a folder that no manifest names. Without a manifest these are all; with one, its own try is not among them, and a manifest
 * that cannot be read protects the whole folder.
 * @throws Failure of the place: then nothing is known
 */
export async function findUnnamed(
  storage: Storage,
  folder: FolderSeen,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, AttemptSeen>> {
  if (!folder.hasManifest) return folder.attempts;
  // The usual case costs no request.
  if (folder.attempts.size <= 1) return new Map();
  const named = await readNamed(storage, folder, signal);
  if (named === undefined) return new Map();
  return new Map([...folder.attempts].filter(([attempt]) => !named.has(attempt)));
}

async function readNamed(
  storage: Storage,
  { namespace, policy, backup }: FolderSeen,
  signal: AbortSignal,
): Promise<ReadonlySet<string> | undefined> {
  const key = manifestKey(namespace, policy, backup);
  try {
    const bytes = await readSmall(storage, key, manifestMaxBytes, signal);
    const manifest = parseManifest(key, bytes.toString('utf8'));
    const attempts = listObjects(manifest).flatMap(({ key: each }) => parseAttemptKey(each)?.attempt ?? []);
    return new Set([manifest.attempt, ...attempts]);
  } catch (error) {
    const { reason } = toFailure(error);
    if (error instanceof Failure && (reason === 'ManifestInvalid' || reason === 'ObjectMissing')) return undefined;
    throw error;
  }
}
