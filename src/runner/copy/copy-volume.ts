import { createHash } from 'node:crypto';
import { Failure, toFailure } from '../../api/failure.ts';
import type { ManifestArtifact } from '../../domain/manifest.ts';
import type { Bytes } from '../../pipeline/bytes.ts';
import { fanOut } from '../../pipeline/fan-out.ts';
import { measure, type Measure } from '../../pipeline/measure.ts';
import { sample } from '../../pipeline/sample.ts';
import { attempt } from '../../storage/attempt.ts';
import type { Storage } from '../../storage/storage.ts';
import { readBack } from '../read-back.ts';
import { releaseBuffers } from '../release-buffers.ts';
import type { Workshop } from '../workshop.ts';
import type { Pacer } from './pace-bytes.ts';

type Volume = ManifestArtifact['volumes'][number];

export interface CopyPlaces {
  readonly from: Storage;
  readonly to: Storage;
  readonly pace: Pacer;
  readonly workshop: Workshop;
}

const patience = { attempts: 3, firstDelayMs: 1000, longestDelayMs: 10_000 };

/**
 * Streams one volume from a place to another under the same key. It becomes visible only when all of it went by and was what the manifest
 * says; then it is compared with what the place gives back, as a backup's volumes are.
 * @throws Failure BackupDamaged when the source is not what the manifest says, and those of the places
 */
export async function copyVolume(volume: Volume, places: CopyPlaces, signal: AbortSignal): Promise<void> {
  const { clock, random } = places.workshop;
  await attempt(() => copyOnce(volume, places, signal), { ...patience, clock, random }, signal);
}

async function copyOnce(volume: Volume, { from, to, pace, workshop }: CopyPlaces, signal: AbortSignal): Promise<void> {
  const { clock, stallMilliseconds, random } = workshop;
  const sent = measure();
  const pieces = sample(() => Buffer.from(random.bytes(6)).readUIntBE(0, 6) / 2 ** 48);
  const content = pace(readVolume(from, volume, signal), signal);
  const body = pieces.through(checked(sent, releaseBuffers(content), from, volume));
  let syncs = 0;
  const onSync = (begins: boolean): void => void (syncs += begins ? 1 : -1);
  const sink = {
    name: to.name,
    isBusy: () => syncs > 0,
    write: (bytes: Bytes, until: AbortSignal) => to.put(volume.key, bytes, { onSync }, until),
  };
  const [end] = await fanOut(body, [sink], { stall: { limitMs: stallMilliseconds, clock } }, signal);
  if (end === undefined) throw new Failure('Internal', 'a volume went nowhere');
  if (end.outcome === 'failed') throw end.failure;
  const { bytes, proven = false } = end.result;
  if (bytes !== volume.bytes) {
    const what = `${volume.key}: ${volume.bytes} bytes were sent, the store says it holds ${bytes}`;
    throw new Failure('StoredBytesDiffer', what);
  }
  if (proven) return;
  const object = { key: volume.key, ...sent.result(), marks: sent.marks(), pieces: pieces.pieces() };
  await readBack(to, object, 'Sample', workshop, signal);
}

/** Whether a place holds this volume, byte for byte; it is read to its end for that. */
export async function holdsVolume(storage: Storage, volume: Volume, signal: AbortSignal): Promise<boolean> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of releaseBuffers(storage.get(volume.key, undefined, signal))) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return bytes === volume.bytes && hash.digest('hex') === volume.sha256;
}

async function* readVolume(from: Storage, { key }: Volume, signal: AbortSignal): Bytes & AsyncGenerator<Uint8Array> {
  try {
    yield* from.get(key, undefined, signal);
  } catch (error) {
    const failure = toFailure(error);
    if (failure.reason !== 'ObjectMissing') throw error;
    throw new Failure('BackupDamaged', `${key} is not in ${from.name}, although its manifest names it`, {
      cause: failure,
    });
  }
}

/** Measures and passes on; what is not as the manifest says fails at the latest before its end, so that it is never stored. */
async function* checked(
  sent: Measure,
  source: Bytes,
  from: Storage,
  { key, bytes, sha256 }: Volume,
): AsyncGenerator<Uint8Array> {
  let passed = 0;
  for await (const chunk of sent.through(source)) {
    passed += chunk.length;
    if (passed > bytes) throw damaged(`${key} in ${from.name} goes on after ${bytes} bytes`);
    yield chunk;
  }
  if (passed < bytes) throw damaged(`${key} in ${from.name} ends after ${passed} of ${bytes} bytes`);
  if (sent.result().sha256 !== sha256) throw damaged(`${key} in ${from.name} has other content than its manifest says`);
}

function damaged(message: string): Failure {
  return new Failure('BackupDamaged', message);
}
