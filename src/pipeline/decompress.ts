import { createGunzip, createZstdDecompress, type Gunzip, type ZstdDecompress } from 'node:zlib';
import { Failure } from '../api/failure.ts';
import { chunkBytes, gather, type Bytes, type Stage } from './bytes.ts';

export interface DecompressOptions {
  readonly algorithm: 'zstd' | 'gzip' | 'none';
}

/**
 * A stage that reads any run of zstd frames or gzip members as one stream, in chunks of at most 1 MiB. Throws `BackupDamaged`
 * when the input is no such stream, is cut short inside a frame, has a wrong checksum, or goes on after the last frame with
 * something else. A stream that is cut exactly between two frames cannot be told from a whole one here: sizes and hashes can.
 */
export function decompress(options: DecompressOptions): Stage {
  const { algorithm } = options;
  if (algorithm === 'none') return (source) => source;
  const makeDecoder =
    algorithm === 'zstd'
      ? () => createZstdDecompress({ chunkSize: chunkBytes })
      : () => createGunzip({ chunkSize: chunkBytes });
  return (source) => decode(source, algorithm, makeDecoder);
}

type Decoder = ZstdDecompress | Gunzip;

/**
 * Node's zstd decoder stops, without a word, at the end of a frame when the same write holds more of them. So what a decoder
 * did not take is counted and given to a new one.
 */
async function* decode(
  source: Bytes,
  format: string,
  makeDecoder: () => Decoder,
): AsyncGenerator<Uint8Array, void, void> {
  let run: DecoderRun | undefined;
  try {
    for await (const chunk of gather(source, chunkBytes)) {
      let rest: Uint8Array = chunk;
      while (rest.length > 0) {
        run ??= runDecoder(makeDecoder(), format);
        const taken: number = yield* run.write(rest);
        if (taken === rest.length) break;
        if (taken === 0 && run.isFresh()) throw damaged(format, 'bytes that are no frame');
        rest = rest.subarray(taken);
        run.close();
        run = undefined;
      }
    }
    // An empty stream is refused as well: not even an empty dump compresses to nothing.
    run ??= runDecoder(makeDecoder(), format);
    yield* run.end();
  } finally {
    run?.close();
  }
}

interface DecoderRun {
  /** Gives out what comes of `chunk`; returns how many of its bytes were taken: less than all at the end of a frame. */
  write(chunk: Uint8Array): AsyncGenerator<Uint8Array, number, void>;
  end(): AsyncGenerator<Uint8Array, void, void>;
  /** True while nothing was taken at all. */
  isFresh(): boolean;
  close(): void;
}

function runDecoder(decoder: Decoder, format: string): DecoderRun {
  let failure: Failure | undefined;
  let ended = false;
  let wake = (): void => {};
  decoder.on('readable', () => wake());
  decoder.on('end', () => {
    ended = true;
    wake();
  });
  decoder.on('error', (error) => {
    failure = damaged(format, error.message, error);
    wake();
  });

  /** Output until `isDone`, taken as fast as the reader wants it: a small input may hold gigabytes. */
  async function* drain(isDone: () => boolean): AsyncGenerator<Uint8Array, void, void> {
    for (;;) {
      const output: unknown = decoder.read();
      if (output instanceof Uint8Array) {
        yield output;
        continue;
      }
      if (failure !== undefined) throw failure;
      if (isDone()) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }

  return {
    async *write(chunk) {
      const before = decoder.bytesWritten;
      let written = false;
      decoder.write(chunk, () => {
        written = true;
        wake();
      });
      yield* drain(() => written);
      return decoder.bytesWritten - before;
    },
    async *end() {
      decoder.end();
      yield* drain(() => ended);
    },
    isFresh: () => decoder.bytesWritten === 0,
    close: () => {
      decoder.destroy();
    },
  };
}

function damaged(format: string, what: string, cause?: unknown): Failure {
  return new Failure('BackupDamaged', `${format} data cannot be read: ${what}`, { cause });
}
