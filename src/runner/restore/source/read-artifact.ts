import { Failure } from '../../../api/failure.ts';
import type { ManifestArtifact } from '../../../domain/manifest.ts';
import type { Bytes, Stage } from '../../../pipeline/bytes.ts';
import { decompress } from '../../../pipeline/decompress.ts';
import { measure, type Measured } from '../../../pipeline/measure.ts';
import type { Meter } from '../../../pipeline/meter.ts';
import { prefetch } from '../../../pipeline/prefetch.ts';
import type { Storage } from '../../../storage/storage.ts';
import type { Clock } from '../../../support/clock.ts';
import { releaseBuffers } from '../../release-buffers.ts';

export interface ReadTools {
  readonly storage: Storage;
  /** Counts what was fetched. */
  readonly fetched: Meter;
  readonly clock: Clock;
  readonly stallMilliseconds: number;
  /** Of an encrypted backup. */
  readonly decrypt?: Stage;
}

const asItIs: Stage = (source) => source;

/** Chunks of 1 MiB or less on either side of the decompression. */
const chunksAhead = 3;

/**
 * What pg_dump wrote: the volumes in order, decompressed. It ends only when sizes and hashes of every volume, of all of them, and of
 * what came out are those of the manifest.
 * @throws Failure BackupDamaged, ObjectMissing and those of the place
 */
export async function* readArtifact(
  artifact: ManifestArtifact,
  { storage, fetched, clock, stallMilliseconds, decrypt = asItIs }: ReadTools,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const stored = measure();
  const plain = measure();
  const stall = { limitMs: stallMilliseconds, clock, what: storage.name };
  async function* volumes(): AsyncGenerator<Uint8Array, void, void> {
    for (const volume of artifact.volumes) {
      const got = measure();
      yield* got.through(fetched.through(storage.get(volume.key, undefined, signal)));
      compare(got.result(), volume, volume.key);
    }
  }
  // One volume is the whole: a second hash of the same bytes would tell nothing new.
  const single = artifact.volumes.length === 1 ? artifact.volumes[0] : undefined;
  const raw = prefetch(single === undefined ? stored.through(volumes()) : volumes(), { chunks: chunksAhead, stall });
  const name = artifact.volumes[0]?.key ?? '';
  const read = releaseBuffers(plain.through(decompress({ algorithm: artifact.compression })(decrypt(raw))));
  // Decompressing and hashing go on while the reader writes.
  yield* prefetch(read, { chunks: chunksAhead });
  compare(single ?? stored.result(), artifact.stored, `${name} with all its volumes`);
  compare(plain.result(), artifact.plain, `what ${name} holds`);
}

function compare(got: Measured, wanted: Measured, what: string): void {
  if (got.bytes !== wanted.bytes) {
    throw damaged(`${what} has ${got.bytes} bytes, the manifest says ${wanted.bytes}`);
  }
  if (got.sha256 !== wanted.sha256) throw damaged(`${what} has other content than the manifest says`);
}

function damaged(what: string): Failure {
  return new Failure('BackupDamaged', what, {
    hint: 'take another copy of the backup (source.backup.location), or another backup',
  });
}

/** Text of a small artifact. */
export async function readText(bytes: Bytes, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of bytes) {
    length += chunk.length;
    if (length > maxBytes) throw damaged(`more than ${maxBytes} bytes where a short text should be`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
