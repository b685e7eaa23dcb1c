import { createHash } from 'node:crypto';
import { Failure, toFailure } from '../../../api/failure.ts';
import type { RestoredSource } from '../../../api/restore-spec.ts';
import type { ArtifactName } from '../../../domain/layout.ts';
import { manifestMaxBytes, parseManifest, type Manifest, type ManifestArtifact } from '../../../domain/manifest.ts';
import type { Bytes } from '../../../pipeline/bytes.ts';
import { meter } from '../../../pipeline/meter.ts';
import type { Storage } from '../../../storage/storage.ts';
import { idleProgress } from '../../progress.ts';
import { gravestFailure } from '../../gravest-failure.ts';
import { checkSignature } from '../../check-signature.ts';
import { readSmall } from '../../read-small.ts';
import type { Workshop } from '../../workshop.ts';
import type { BackupWanted, SourceWanted } from '../wanted.ts';
import { openDecipher, type Decipher } from './open-decipher.ts';
import { readArtifact } from './read-artifact.ts';
import type { RestoreInput, RestoreSource } from './source.ts';

type Copy = BackupWanted['copies'][number];

const pauseMilliseconds = 2_000;

/**
 * The first copy of a backup whose manifest can be read and is the one that is meant; waits for places that do not answer within
 * the time for that.
 * @throws Failure BackupMissing and BackupNotUsable for a database that it does not hold; of several copies that cannot be used,
 *   the gravest failure
 */
export async function openBackupSource(
  wanted: SourceWanted,
  backup: BackupWanted,
  workshop: Workshop,
): Promise<RestoreSource> {
  const open = await openCopy(backup, wanted, workshop);
  try {
    return describe(wanted, open, workshop);
  } catch (error) {
    await open.storage.close();
    throw error;
  }
}

interface OpenCopy {
  readonly copy: Copy;
  readonly storage: Storage;
  readonly manifest: Manifest;
  readonly decipher: Decipher | undefined;
}

async function openCopy(
  wanted: BackupWanted,
  { waitForServerSeconds, identities, signedBy }: SourceWanted,
  workshop: Workshop,
): Promise<OpenCopy> {
  const { clock, lines, log, signal } = workshop;
  const endMs = clock.monotonicMs() + waitForServerSeconds * 1000;
  for (;;) {
    const failures: Failure[] = [];
    for (const copy of wanted.copies) {
      let storage: Storage | undefined;
      try {
        storage = await workshop.openLocation(copy.location);
        const manifest = await readManifest(storage, copy, wanted, signedBy, signal);
        return { copy, storage, manifest, decipher: await openDecipher(manifest, storage, identities, workshop) };
      } catch (error) {
        await storage?.close();
        signal.throwIfAborted();
        const failure = toFailure(error);
        failures.push(failure);
        log.warn('a copy of the backup cannot be used', {
          location: copy.location.name,
          reason: failure.reason,
          error: failure.message,
        });
      }
    }
    const [first, ...rest] = failures;
    if (first === undefined) throw new Failure('BackupNotUsable', 'the backup has no copies');
    const silent = failures.find(({ reason }) => reason === 'StorageUnreachable');
    if (silent === undefined || clock.monotonicMs() >= endMs) throw gravestFailure([first, ...rest]);
    lines.progress({ ...idleProgress, waiting: 'WaitingForStorage', detail: silent.message });
    await clock.sleep(pauseMilliseconds, signal);
  }
}

async function readManifest(
  storage: Storage,
  copy: Copy,
  wanted: BackupWanted,
  signedBy: SourceWanted['signedBy'],
  signal: AbortSignal,
): Promise<Manifest> {
  const { manifestKey, manifestSha256 } = copy;
  let bytes: Buffer;
  try {
    bytes = await readSmall(storage, manifestKey, manifestMaxBytes, signal);
  } catch (error) {
    const failure = toFailure(error);
    if (failure.reason !== 'ObjectMissing') throw failure;
    throw new Failure('BackupNotUsable', `the backup ${wanted.name} is not in ${storage.name}: no ${manifestKey}`, {
      cause: error,
    });
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (manifestSha256 !== undefined && sha256 !== manifestSha256) {
    throw new Failure('ManifestInvalid', `${manifestKey} in ${storage.name} is not the manifest that is meant`, {
      hint: 'it was changed or written anew; look at the status of the Backup',
    });
  }
  const manifest = parseManifest(manifestKey, bytes.toString('utf8'));
  await checkSignature(storage, { manifest, bytes }, [copy.location.signedBy, signedBy], signal);
  if (wanted.uid !== undefined && manifest.backup.uid !== wanted.uid) {
    throw new Failure('ManifestInvalid', `${manifestKey} in ${storage.name} is of another backup of the same name`, {
      hint: `its uid is ${manifest.backup.uid}`,
    });
  }
  return manifest;
}

function describe(
  { databases, unlessRestored }: SourceWanted,
  { copy, storage, manifest, decipher }: OpenCopy,
  { clock, stallMilliseconds }: Workshop,
): RestoreSource {
  const chosen: RestoredSource = {
    location: copy.location.name,
    backup: manifest.backup.id,
    backupUid: manifest.backup.uid,
    key: copy.manifestKey,
    format: 'Custom',
  };
  const unchanged = unlessRestored !== undefined && isSame(unlessRestored, chosen);
  const fetched = meter();
  const read = (artifact: ManifestArtifact, name: ArtifactName, signal: AbortSignal): Bytes => {
    const decrypt = decipher === undefined ? {} : { decrypt: decipher(name) };
    return readArtifact(artifact, { storage, fetched, clock, stallMilliseconds, ...decrypt }, signal);
  };
  const inputs = unchanged
    ? []
    : databases.map(({ source, target }) => ({
        target,
        input: describeInput(findDatabase(manifest, source, target), read),
      }));
  const { globals } = manifest;
  return {
    chosen,
    unchanged,
    inputs,
    serverMajor: manifest.server.major,
    ...(globals === undefined ? {} : { openGlobals: (signal) => read(globals, { globals: true }, signal) }),
    readBytes: () => fetched.bytes(),
    close: () => storage.close(),
  };
}

/** Copies of a backup are the same wherever they lie. */
function isSame(earlier: RestoredSource, chosen: RestoredSource): boolean {
  return earlier.backup === chosen.backup && earlier.backupUid === chosen.backupUid;
}

interface StoredDatabase {
  readonly database: Manifest['databases'][number];
  readonly artifact: ManifestArtifact;
}

function findDatabase(manifest: Manifest, source: string | undefined, target: string): StoredDatabase {
  const { databases } = manifest;
  const only = databases.length === 1 ? databases[0]?.name : undefined;
  const name = source ?? only ?? target;
  const database = databases.find((candidate) => candidate.name === name);
  const id = manifest.backup.id;
  if (database === undefined) {
    const stored = databases.filter(({ outcome }) => outcome === 'stored').map((candidate) => candidate.name);
    throw new Failure('BackupMissing', `the backup ${id} holds no database "${name}"; it holds: ${list(stored)}`, {
      hint: 'name the one that is meant in source.database',
    });
  }
  if (database.outcome !== 'stored') {
    const why = database.message === undefined ? '' : `: ${database.message}`;
    const what =
      database.outcome === 'failed' ? `failed in the backup ${id}${why}` : `was left out of the backup ${id}`;
    throw new Failure('BackupNotUsable', `the database "${name}" ${what}`, { hint: 'choose another backup' });
  }
  const [artifact, ...more] = database.artifacts;
  if (artifact === undefined || more.length > 0 || artifact.format !== 'custom') {
    throw new Failure('ManifestInvalid', `the database "${name}" in the backup ${id} is stored in an unknown way`, {
      hint: 'use a newer pgbackup',
    });
  }
  return { database, artifact };
}

function describeInput(
  { database, artifact }: StoredDatabase,
  read: (artifact: ManifestArtifact, name: ArtifactName, signal: AbortSignal) => Bytes,
): RestoreInput {
  return {
    database: database.name,
    format: 'custom',
    open: (signal) => read(artifact, { database: database.name }, signal),
    expectedBytes: artifact.plain.bytes,
    ...(database.facts === undefined ? {} : { facts: database.facts }),
  };
}

function list(names: readonly string[]): string {
  if (names.length === 0) return 'none';
  const shown = names.slice(0, 20).join(', ');
  return names.length > 20 ? `${shown} and ${names.length - 20} more` : shown;
}
