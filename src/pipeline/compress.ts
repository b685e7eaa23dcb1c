import { constants, createZstdCompress, gzip, type ZstdCompress } from 'node:zlib';
import { Failure } from '../api/failure.ts';
import { chunkBytes, gather, type Bytes, type Stage } from './bytes.ts';
import { freeBytes } from './free-bytes.ts';

export interface CompressOptions {
  readonly algorithm: 'zstd' | 'gzip' | 'none';
  /** zstd 1–22 (default 3), gzip 1–9 (default 6). */
  readonly level?: number;
  /** Pieces of 1 MiB that are compressed at once on the thread pool (default 2); each costs 3–4 MB at level 3. */
  readonly framesInFlight?: number;
  /**
   * Nobody else reads the source's chunks, before or after: each is freed when it was compressed. Chunks of 1 MiB that wait for V8 to
   * collect them would be a tenth of a run's memory.
   */
  readonly lastReader?: boolean;
}

/** Compresses one piece to a whole frame or member, given in one or more chunks. */
type Compressor = (piece: Uint8Array) => Promise<readonly Uint8Array[]>;

/**
 * A stage that compresses pieces of 1 MiB independently, several at once, in order: the result is a run of zstd frames (with
 * content sizes and checksums) or gzip members, which any `zstd -d` or `gunzip` reads as one stream. One long zlib stream
 * would be half as fast: it works on one thread and in small steps. An empty source becomes one empty frame, because some
 * readers refuse an empty file.
 */
export function compress(options: CompressOptions): Stage {
  const { algorithm } = options;
  if (algorithm === 'none') return (source) => source;
  const makeCompressor =
    algorithm === 'zstd' ? () => zstdCompressor(options.level ?? 3) : () => gzipCompressor(options.level ?? 6);
  const done = options.lastReader === true ? freeBytes : () => {};
  return (source) => inOrder(source, options.framesInFlight ?? 2, makeCompressor, done);
}

async function* inOrder(
  source: Bytes,
  framesInFlight: number,
  makeCompressor: () => { readonly compress: Compressor; readonly close: () => void },
  done: (piece: Uint8Array) => void,
): AsyncGenerator<Uint8Array, void, void> {
  const compressors = Array.from({ length: framesInFlight }, makeCompressor);
  const running: Promise<readonly Uint8Array[]>[] = [];
  let started = 0;
  const start = (piece: Uint8Array): void => {
    const compressor = compressors[started % framesInFlight];
    if (compressor === undefined) throw new Failure('Internal', 'framesInFlight must be at least 1');
    started += 1;
    const frame = compressor.compress(piece).finally(() => done(piece));
    // Its failure is thrown when its turn comes; until then it must not count as unhandled.
    frame.catch(() => {});
    running.push(frame);
  };
  try {
    for await (const piece of gather(source, chunkBytes)) {
      // The oldest frame is the one whose compressor is used next.
      if (running.length === framesInFlight) yield* (await running.shift()) ?? [];
      start(piece);
    }
    if (started === 0) start(new Uint8Array(0));
    while (running.length > 0) yield* (await running.shift()) ?? [];
  } finally {
    await Promise.allSettled(running);
    for (const compressor of compressors) compressor.close();
  }
}

/** Room for a frame: more than the worst case of both formats for 1 MiB that does not compress. */
const frameBytes = chunkBytes + 16 * 1024;
const zstdMagic = 0xfd2f_b528;

/**
 * A compressor that is kept: `flush: ZSTD_e_end` makes every write a frame of its own, and the context (megabytes) is made once
 * instead of once a frame, which saves a seventh of the time over `zstdCompress`.
 */
function zstdCompressor(level: number): { readonly compress: Compressor; readonly close: () => void } {
  const stream: ZstdCompress = createZstdCompress({
    flush: constants.ZSTD_e_end,
    chunkSize: frameBytes,
    // Never reached, so that a write is always done before its output is taken.
    readableHighWaterMark: 8 * frameBytes,
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
  } as Parameters<typeof createZstdCompress>[0]);
  // Each write reports its own error; without a listener the event would end the process.
  stream.on('error', () => {});

  const take = (): Uint8Array[] => {
    const frame: Uint8Array[] = [];
    for (let piece = readChunk(stream); piece !== null; piece = readChunk(stream)) frame.push(piece);
    return frame;
  };

  return {
    compress: (piece) =>
      new Promise((resolve, reject) => {
        stream.write(piece, (error) => {
          if (error) {
            reject(new Failure('Internal', `zstd failed: ${error.message}`, { cause: error }));
            return;
          }
          const frame = take();
          if (startsFrame(frame)) resolve(frame);
          else reject(new Failure('Internal', 'zstd gave something that is not one frame'));
        });
      }),
    close: () => {
      stream.destroy();
    },
  };
}

function readChunk(stream: ZstdCompress): Uint8Array | null {
  const chunk: unknown = stream.read();
  return chunk instanceof Uint8Array ? chunk : null;
}

/** A frame that came late would be stored in the place of another one: the first bytes tell. */
function startsFrame(frame: readonly Uint8Array[]): boolean {
  const first = frame[0];
  if (first === undefined) return false;
  // A few bytes at the end of zlib's buffer may come as a chunk of their own.
  const head = Buffer.concat(frame, 4);
  return head.length === 4 && head.readUInt32LE(0) === zstdMagic;
}

function gzipCompressor(level: number): { readonly compress: Compressor; readonly close: () => void } {
  return {
    compress: (piece) =>
      new Promise((resolve, reject) => {
        gzip(piece, { level, chunkSize: frameBytes, memLevel: 9 }, (error, member) => {
          if (error) reject(new Failure('Internal', `gzip failed: ${error.message}`, { cause: error }));
          else resolve([member]);
        });
      }),
    close: () => {},
  };
}
