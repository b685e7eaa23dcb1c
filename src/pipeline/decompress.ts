import {
  createGunzip,
  createInflateRaw,
  createZstdDecompress,
  type Gunzip,
  type InflateRaw,
  type ZstdDecompress,
} from 'node:zlib';
import { Failure } from '../api/failure.ts';
import { chunkBytes, gather, type Bytes, type Stage } from './bytes.ts';

export interface DecompressOptions {
  /** deflate: one raw stream, as in a ZIP; it has no checksum of its own. */
  readonly algorithm: 'zstd' | 'gzip' | 'deflate' | 'none';
  /** What it is called when it cannot be read: BackupDamaged if absent. */
  readonly damage?: 'BackupDamaged' | 'FileDamaged';
}

/**
 * A stage that reads any run of zstd frames or gzip members as one stream, in chunks of at most 1 MiB. Throws `BackupDamaged`
 * when the input is no such stream, is cut short inside a frame, has a wrong checksum, or goes on after the last frame with
 * something else; in a file, zeros behind gzip members are passed over, as gzip does (tapes and disks pad). A stream that is cut exactly
 * between two frames cannot be told from a whole one here: sizes and hashes can.
 */
export function decompress(options: DecompressOptions): Stage {
  const { algorithm } = options;
  if (algorithm === 'none') return (source) => source;
  const damaged = (what: string, cause?: unknown): Failure => {
    if (options.damage === 'FileDamaged' && isTooWide(cause)) return tooWide(cause);
    return new Failure(options.damage ?? 'BackupDamaged', `${algorithm} data cannot be read: ${what}`, { cause });
  };
  return (source) =>
    decode(
      source,
      decoders[algorithm],
      { mayGoOn: algorithm !== 'deflate', mayBePadded: algorithm === 'gzip' && options.damage === 'FileDamaged' },
      damaged,
    );
}

type Decoder = ZstdDecompress | Gunzip | InflateRaw;
type Damaged = (what: string, cause?: unknown) => Failure;

const decoders = {
  zstd: () => createZstdDecompress({ chunkSize: chunkBytes }),
  gzip: () => createGunzip({ chunkSize: chunkBytes }),
  deflate: () => createInflateRaw({ chunkSize: chunkBytes }),
} as const satisfies Record<string, () => Decoder>;

/**
 * Node's zstd decoder stops, without a word, at the end of a frame when the same write holds more of them. So what a decoder
 * did not take is counted and given to a new one.
 */
async function* decode(
  source: Bytes,
  makeDecoder: () => Decoder,
  { mayGoOn, mayBePadded }: { readonly mayGoOn: boolean; readonly mayBePadded: boolean },
  damaged: Damaged,
): AsyncGenerator<Uint8Array, void, void> {
  let run: DecoderRun | undefined;
  let members = 0;
  let isPadded = false;
  try {
    for await (const chunk of gather(source, chunkBytes)) {
      let rest: Uint8Array = chunk;
      while (rest.length > 0) {
        isPadded ||= mayBePadded && members > 0 && run === undefined && rest[0] === 0;
        if (isPadded) {
          if (rest.some((byte) => byte !== 0)) throw damaged('bytes behind its padding');
          break;
        }
        run ??= runDecoder(makeDecoder(), damaged);
        const taken: number = yield* run.write(rest);
        if (taken === rest.length) break;
        if (!mayGoOn) throw damaged('bytes behind its end');
        if (taken === 0 && run.isFresh()) throw damaged('bytes that are no frame');
        rest = rest.subarray(taken);
        run.close();
        run = undefined;
        members += 1;
      }
    }
    if (isPadded) return;
    // An empty stream is refused as well: not even an empty dump compresses to nothing.
    run ??= runDecoder(makeDecoder(), damaged);
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

function runDecoder(decoder: Decoder, damaged: Damaged): DecoderRun {
  let failure: Failure | undefined;
  let ended = false;
  let wake = (): void => {};
  decoder.on('readable', () => wake());
  decoder.on('end', () => {
    ended = true;
    wake();
  });
  decoder.on('error', (error) => {
    failure = damaged(error.message, error);
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

/** A frame made with `zstd --long=28` or more wants gigabytes of memory. */
function isTooWide(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ZSTD_error_frameParameter_windowTooLarge';
}

function tooWide(cause: unknown): Failure {
  return new Failure('FileRefused', 'the zstd data wants more than 128 MiB of memory', {
    cause,
    hint: 'compress it with a window of at most --long=27',
  });
}
