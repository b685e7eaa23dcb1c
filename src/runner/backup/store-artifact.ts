import { Readable } from 'node:stream';
import { Failure } from '../../api/failure.ts';
import { backupFolder, volumeKey, type ArtifactName } from '../../domain/layout.ts';
import type { ManifestArtifact } from '../../domain/manifest.ts';
import type { BackupTask } from '../../domain/task.ts';
import type { Bytes } from '../../pipeline/bytes.ts';
import { compress } from '../../pipeline/compress.ts';
import { fanOut } from '../../pipeline/fan-out.ts';
import { measure, type Measure } from '../../pipeline/measure.ts';
import { sample } from '../../pipeline/sample.ts';
import { cutVolumes } from '../../pipeline/volumes.ts';
import type { StoredObject } from '../../storage/storage.ts';
import { bounded } from '../bounded.ts';
import { gravestFailure } from '../gravest-failure.ts';
import type { Workshop } from '../workshop.ts';
import { cleanUp } from './clean-up.ts';
import type { Destination } from './destination.ts';
import { dropOut } from './drop-out.ts';
import { proveVolume, type Holder } from './prove-volume.ts';
import { stallOf } from './stall-of.ts';
import { releaseBuffers } from '../release-buffers.ts';

const cleanUpMilliseconds = 20_000;

type Volume = ManifestArtifact['volumes'][number];
export type StoredArtifact = Pick<ManifestArtifact, 'volumes' | 'plain' | 'stored' | 'compression'>;

/**
 * Streams one artifact to all live destinations at once: measured, compressed, cut into volumes, measured again. What a place holds of a
 * volume is read back and compared while the next volume is on its way. A destination that fails, or acknowledges or gives back other
 * bytes than were sent, has failed for the whole run.
 * @throws what `source` throws, or the destinations' gravest failure when none is left; then nothing of this artifact is left
 *   anywhere that can still be reached
 */
export async function storeArtifact(
  name: ArtifactName,
  source: Bytes,
  task: BackupTask,
  destinations: readonly Destination[],
  workshop: Workshop,
): Promise<StoredArtifact> {
  const plain = measure();
  // Hashes are a tenth of the work: what is one volume is measured once.
  let stored: Measure | undefined;
  const { algorithm, level } = task.compression;
  const compressed = compress({ algorithm, ...(level === undefined ? {} : { level }), lastReader: true })(
    releaseBuffers(plain.through(source)),
  );
  const { cipher } = workshop;
  const written = cipher === undefined ? compressed : cipher.encrypt(name)(compressed);
  const folder = backupFolder(task.namespace, task.policy.name, task.backup.name);
  const form = { compression: algorithm, isEncrypted: cipher !== undefined };
  const unused = chooseName(name, (first) => volumeKey(folder, workshop.attempt, first, form, 1), destinations);
  const volumes: Volume[] = [];
  const keys: string[] = [];
  const stop = new AbortController();
  let proving: Promise<void> = Promise.resolve();
  try {
    for await (const { index, bytes } of cutVolumes(written, task.volumeBytes)) {
      const key = volumeKey(folder, workshop.attempt, unused, form, index);
      keys.push(key);
      const sent = measure();
      const soFar = stored?.goOn();
      const pieces = sample(() => evenly(workshop));
      const body = pieces.through(soFar?.through(bytes) ?? bytes);
      const holders = await storeVolume(key, body, sent, destinations, workshop);
      const volume = { key, ...sent.result() };
      volumes.push(volume);
      stored = soFar ?? sent;
      await proving;
      requireLive(destinations);
      const object = { ...volume, marks: sent.marks(), pieces: pieces.pieces() };
      proving = proveVolume(object, holders, task.readBack ?? 'Sample', workshop, stop.signal);
    }
    await proving;
    requireLive(destinations);
  } catch (error) {
    stop.abort(new Failure('Aborted', 'the artifact failed'));
    await proving;
    // The end of the whole run cleans up by itself, when it has said that it ended.
    workshop.signal.throwIfAborted();
    await bounded(workshop.clock, cleanUpMilliseconds, async (signal) => {
      await Promise.all(
        destinations.map((destination) =>
          cleanUp(
            destination,
            workshop,
            signal,
            destination.begun.filter((key) => keys.includes(key)),
          ),
        ),
      );
    });
    throw error;
  }
  if (stored === undefined) throw new Failure('Internal', 'an artifact without a volume');
  return {
    volumes,
    plain: plain.result(),
    stored: stored.result(),
    compression: algorithm,
  };
}

/** A small object beside the artifacts, to all live destinations, and proven there as they are. @throws as storeArtifact */
export async function storeSmall(
  key: string,
  content: Uint8Array,
  task: BackupTask,
  destinations: readonly Destination[],
  workshop: Workshop,
): Promise<void> {
  const sent = measure();
  const pieces = sample(() => evenly(workshop));
  const holders = await storeVolume(key, pieces.through(Readable.from([content])), sent, destinations, workshop);
  const object = { key, ...sent.result(), marks: sent.marks(), pieces: pieces.pieces() };
  await proveVolume(object, holders, task.readBack ?? 'Sample', workshop, workshop.signal);
  workshop.signal.throwIfAborted();
  requireLive(destinations);
}

/** What a dump that failed left at a place that did not delete it is not written over: the next one gets another name. */
function chooseName(
  name: ArtifactName,
  firstKeyOf: (name: ArtifactName) => string,
  destinations: readonly Destination[],
): ArtifactName {
  const begun = destinations.flatMap((destination) => destination.begun);
  for (let again = 1; ; again += 1) {
    const candidate = { ...name, again };
    const first = firstKeyOf(candidate);
    const isUsed = begun.some((key) => key.startsWith(first) && /^(\.\d{4,})?$/.test(key.slice(first.length)));
    if (!isUsed) return candidate;
  }
}

async function storeVolume(
  key: string,
  bytes: Bytes,
  sent: Measure,
  destinations: readonly Destination[],
  workshop: Workshop,
): Promise<readonly Holder[]> {
  const live = destinations.filter((destination) => destination.live);
  const syncing = workshop.syncing ?? new Map<string, number>();
  const sinks = live.map((destination) => ({
    name: destination.location,
    ...stallOf(destination, workshop),
    isBusy: () => syncing.has(destination.location),
    write: async (body: Bytes, signal: AbortSignal): Promise<StoredObject> => {
      const { storage } = destination;
      if (storage === undefined) throw new Failure('Internal', `${destination.location} is not open`);
      destination.begin(key);
      // The key is of this attempt alone: whatever is there is not ours, and the place takes one name for another.
      let syncs = 0;
      const onSync = (begins: boolean): void => {
        syncs += begins ? 1 : -1;
        if (syncs === 0) syncing.delete(destination.location);
        else if (begins && syncs === 1) syncing.set(destination.location, workshop.clock.monotonicMs());
      };
      try {
        return await storage.put(key, body, { onlyIfAbsent: true, onSync }, signal);
      } finally {
        syncing.delete(destination.location);
      }
    },
  }));
  const { clock, pace, stallMilliseconds } = workshop;
  const options = {
    stall: { limitMs: stallMilliseconds, clock },
    ...(pace === undefined ? {} : { pace: { ...pace, clock } }),
  };
  const outcomes = sinks.length === 0 ? [] : await fanOut(sent.through(bytes), sinks, options, workshop.signal);
  for (const [index, outcome] of outcomes.entries()) {
    const destination = live[index];
    if (destination === undefined) continue;
    if (outcome.outcome === 'failed') dropOut(destination, explain(key, outcome.failure), workshop);
  }
  requireLive(destinations);
  const { bytes: sentBytes } = sent.result();
  const holders: Holder[] = [];
  for (const [index, outcome] of outcomes.entries()) {
    const destination = live[index];
    if (destination === undefined || outcome.outcome === 'failed') continue;
    const { bytes: held, proven = false } = outcome.result;
    if (held === sentBytes) {
      holders.push({ destination, proven });
      continue;
    }
    const what = `${key}: ${sentBytes} bytes were sent, the store says it holds ${held}`;
    dropOut(destination, new Failure('StoredBytesDiffer', what), workshop);
  }
  requireLive(destinations);
  return holders;
}

/** Only this run writes below its attempt's folder: what is there already came there under another name. */
function explain(key: string, failure: Failure): Failure {
  if (failure.reason !== 'AlreadyStored') return failure;
  return new Failure('AlreadyStored', `${key} is there already, although only this run writes below its folder`, {
    hint: 'the place takes several names for one: use a file system that tells all names of 255 bytes apart',
    cause: failure,
  });
}

/** In [0, 1), and unlike `fraction` not to be foreseen by who saw the ones before. */
function evenly({ random }: Workshop): number {
  return Buffer.from(random.bytes(6)).readUIntBE(0, 6) / 2 ** 48;
}

/** @throws Failure the gravest of the destinations' when none is left */
export function requireLive(destinations: readonly Destination[]): void {
  if (destinations.some((destination) => destination.live)) return;
  const [first, ...rest] = destinations
    .map((destination) => destination.failure)
    .filter((failure) => failure !== undefined);
  if (first === undefined) throw new Failure('Internal', 'no destination is live and none has failed');
  const gravest = gravestFailure([first, ...rest]);
  throw new Failure(gravest.reason, `no destination is left: ${gravest.message}`, {
    ...(gravest.hint === undefined ? {} : { hint: gravest.hint }),
    cause: gravest,
  });
}
