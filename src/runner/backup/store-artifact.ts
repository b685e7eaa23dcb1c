import { Failure } from '../../api/failure.ts';
import { backupFolder, volumeKey, type ArtifactName } from '../../domain/layout.ts';
import type { ManifestArtifact } from '../../domain/manifest.ts';
import type { BackupTask } from '../../domain/task.ts';
import type { Bytes } from '../../pipeline/bytes.ts';
import { compress } from '../../pipeline/compress.ts';
import { fanOut } from '../../pipeline/fan-out.ts';
import { measure, type Measure } from '../../pipeline/measure.ts';
import { cutVolumes } from '../../pipeline/volumes.ts';
import type { StoredObject } from '../../storage/storage.ts';
import { bounded } from '../bounded.ts';
import { gravestFailure } from '../gravest-failure.ts';
import type { Workshop } from '../workshop.ts';
import { cleanUp } from './clean-up.ts';
import type { Destination } from './destination.ts';
import { releaseBuffers } from '../release-buffers.ts';

const cleanUpMilliseconds = 20_000;

type Volume = ManifestArtifact['volumes'][number];
export type StoredArtifact = Pick<ManifestArtifact, 'volumes' | 'plain' | 'stored' | 'compression'>;

/**
 * Streams one artifact to all live destinations at once: measured, compressed, cut into volumes, measured again. A destination
 * that fails, or acknowledges other bytes than were sent, has failed for the whole run.
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
  const compressed = compress({ algorithm, ...(level === undefined ? {} : { level }) })(
    releaseBuffers(plain.through(source)),
  );
  const folder = backupFolder(task.namespace, task.policy.name, task.backup.name);
  const volumes: Volume[] = [];
  const keys: string[] = [];
  try {
    for await (const { index, bytes } of cutVolumes(compressed, task.volumeBytes)) {
      const key = volumeKey(folder, workshop.attempt, name, algorithm, index);
      keys.push(key);
      const sent = measure();
      const soFar = stored?.goOn();
      volumes.push(await storeVolume(key, soFar?.through(bytes) ?? bytes, sent, destinations, workshop));
      stored = soFar ?? sent;
    }
  } catch (error) {
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

async function storeVolume(
  key: string,
  bytes: Bytes,
  sent: Measure,
  destinations: readonly Destination[],
  workshop: Workshop,
): Promise<Volume> {
  const live = destinations.filter((destination) => destination.live);
  const sinks = live.map((destination) => ({
    name: destination.location,
    write: async (body: Bytes, signal: AbortSignal): Promise<StoredObject> => {
      const { storage } = destination;
      if (storage === undefined) throw new Failure('Internal', `${destination.location} is not open`);
      destination.begin(key);
      return storage.put(key, body, {}, signal);
    },
  }));
  const options = { stall: { limitMs: workshop.stallMilliseconds, clock: workshop.clock } };
  const outcomes = sinks.length === 0 ? [] : await fanOut(sent.through(bytes), sinks, options, workshop.signal);
  for (const [index, outcome] of outcomes.entries()) {
    const destination = live[index];
    if (destination === undefined) continue;
    if (outcome.outcome === 'failed') dropOut(destination, outcome.failure, workshop);
  }
  requireLive(destinations);
  const measured = sent.result();
  for (const [index, outcome] of outcomes.entries()) {
    const destination = live[index];
    if (destination === undefined || outcome.outcome === 'failed') continue;
    const held = outcome.result.bytes;
    if (held === measured.bytes) continue;
    const what = `${key}: ${measured.bytes} bytes were sent, the store says it holds ${held}`;
    dropOut(destination, new Failure('StoredBytesDiffer', what), workshop);
  }
  requireLive(destinations);
  return { key, ...measured };
}

function dropOut(destination: Destination, failure: Failure, workshop: Workshop): void {
  destination.failed(failure);
  workshop.log.error('destination failed and gets nothing more', {
    location: destination.location,
    required: destination.required,
    reason: failure.reason,
    error: failure.message,
  });
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
