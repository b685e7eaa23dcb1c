import { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import {
  type Entry,
  fromRandomAccessReaderPromise,
  getFileNameLowLevel,
  RandomAccessReader,
  type ZipFile,
} from 'yauzl';
import { Failure } from '../api/failure.ts';
import type { Bytes } from './bytes.ts';
import { decompress } from './decompress.ts';
import type { SeekableBytes } from './seekable-bytes.ts';
import { isCutBy4GiB, macHint } from './zip-of-macos.ts';

export interface ZipMember {
  readonly name: string;
  /** As the central directory says; `open` proves it. */
  readonly bytes: number;
  readonly kind: 'file' | 'folder';
  /**
   * Its content, unpacked, checked for size and CRC at its end.
   * @throws Failure FileEncrypted, FileUnknown (a method that is not known), FileDamaged, and those of the place
   */
  open(signal: AbortSignal): Bytes;
}

const mostEntries = 200_000;
const localHeaderBytes = 30;
const methods: ReadonlyMap<number, 'none' | 'deflate' | 'zstd'> = new Map([
  [0, 'none'],
  [8, 'deflate'],
  [93, 'zstd'],
]);

/**
 * The members of a ZIP, from the directory at its end: nothing else of it is read yet.
 * @throws Failure FileDamaged, FileRefused (members that share bytes), FileEncrypted, and those of the place
 */
export async function readZip(file: SeekableBytes, signal: AbortSignal): Promise<readonly ZipMember[]> {
  const { zip, entries } = await readDirectory(file, signal);
  refuseOverlaps(entries, file.bytes);
  return entries.map((entry) => {
    const name = nameOf(entry);
    return {
      name,
      bytes: entry.uncompressedSize,
      kind: name.endsWith('/') ? 'folder' : 'file',
      open: (opening) => openMember(file, zip, entry, name, opening),
    };
  });
}

async function readDirectory(
  file: SeekableBytes,
  signal: AbortSignal,
): Promise<{ readonly zip: ZipFile; readonly entries: readonly Entry[] }> {
  const entries: Entry[] = [];
  try {
    const zip = await fromRandomAccessReaderPromise(new WindowReader(file, signal), file.bytes, {
      autoClose: false,
      lazyEntries: true,
      decodeStrings: false,
      validateEntrySizes: true,
    });
    for await (const entry of zip.eachEntry()) {
      entries.push(entry);
      if (entries.length > mostEntries)
        throw new Failure('FileRefused', `the ZIP has more than ${mostEntries} members`);
    }
    return { zip, entries };
  } catch (error) {
    if (error instanceof Failure || !(await isCutBy4GiB(file, signal))) throw toFailure(error);
    throw new Failure(
      'FileDamaged',
      'the ZIP is larger than 4 GiB, and says where its directory is as if it were not',
      {
        cause: error,
        hint: macHint,
      },
    );
  }
}

async function* openMember(
  file: SeekableBytes,
  zip: ZipFile,
  entry: Entry,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  // Bit 0: encrypted; 6: strongly; 13: the directory too.
  if ((entry.generalPurposeBitFlag & 0x2041) !== 0 || entry.compressionMethod === 99) {
    throw new Failure('FileEncrypted', `${name} in the ZIP is encrypted with a password`);
  }
  const algorithm = methods.get(entry.compressionMethod);
  if (algorithm === undefined) {
    throw new Failure('FileUnknown', `${name} in the ZIP is compressed by method ${entry.compressionMethod}`, {
      hint: 'pack it with zip’s default method (deflate)',
    });
  }
  const { fileDataStart: start } = await zip
    .readLocalFileHeaderPromise(entry, { minimal: true })
    .catch((error: unknown) => Promise.reject(toFailure(error)));
  const end = start + entry.compressedSize;
  const packed = entry.compressedSize === 0 ? noBytes() : file.read(start, end, signal);
  let bytes = 0;
  let crc = 0;
  for await (const chunk of decompress({ algorithm, damage: 'FileDamaged' })(packed)) {
    bytes += chunk.length;
    if (bytes > entry.uncompressedSize) {
      throw new Failure(
        'FileRefused',
        `${name} in the ZIP is larger than the ZIP says (${entry.uncompressedSize} bytes)`,
        // Bit 3: sizes are told behind the data, as macOS does it.
        (entry.generalPurposeBitFlag & 0x8) === 0 ? {} : { hint: macHint },
      );
    }
    crc = crc32(chunk, crc);
    yield chunk;
  }
  if (bytes !== entry.uncompressedSize || crc !== entry.crc32) {
    throw new Failure('FileDamaged', `${name} in the ZIP has another size or checksum than the ZIP says`);
  }
}

async function* noBytes(): AsyncGenerator<Uint8Array, void, void> {}

/** Members that lie in each other make a small file large beyond all measure. */
function refuseOverlaps(entries: readonly Entry[], fileBytes: number): void {
  const sorted = [...entries].sort((a, b) => a.relativeOffsetOfLocalHeader - b.relativeOffsetOfLocalHeader);
  for (const [index, entry] of sorted.entries()) {
    const end = entry.relativeOffsetOfLocalHeader + localHeaderBytes + entry.fileNameRaw.length + entry.compressedSize;
    const limit = sorted[index + 1]?.relativeOffsetOfLocalHeader ?? fileBytes;
    if (end > limit) throw new Failure('FileRefused', `members of the ZIP share bytes: ${nameOf(entry)}`);
  }
}

/** Tools of Windows separate folders by backslashes: that is what they mean here. What leads outside is found later. */
function nameOf(entry: Entry): string {
  return getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, false);
}

function toFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new Failure('FileDamaged', `the ZIP cannot be read: ${message}`, {
    cause: error,
    hint: 'perhaps the upload was not whole: upload it again',
  });
}

const windowBytes = 256 * 1024;

/** Many small readings in a row, as the directory is read, become few large ones. */
class WindowReader extends RandomAccessReader {
  readonly #file: SeekableBytes;
  readonly #signal: AbortSignal;
  #start = 0;
  #window: Buffer = Buffer.alloc(0);

  constructor(file: SeekableBytes, signal: AbortSignal) {
    super();
    this.#file = file;
    this.#signal = signal;
  }

  override _readStreamForRange(start: number, end: number): Readable {
    return Readable.from(this.#file.read(start, end, this.#signal));
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead?: number) => void,
  ): void {
    const answer = async (): Promise<void> => {
      let bytes: number;
      try {
        bytes = await this.#readInto(buffer, offset, length, position);
      } catch (error) {
        callback(error instanceof Error ? error : new Error(String(error)));
        return;
      }
      callback(null, bytes);
    };
    void answer();
  }

  async #readInto(buffer: Buffer, offset: number, length: number, position: number): Promise<number> {
    if (position < this.#start || position + length > this.#start + this.#window.length) {
      const end = Math.min(this.#file.bytes, position + Math.max(length, windowBytes));
      if (position >= end) return 0;
      const chunks: Uint8Array[] = [];
      for await (const chunk of this.#file.read(position, end, this.#signal)) chunks.push(chunk);
      this.#window = Buffer.concat(chunks);
      this.#start = position;
    }
    return this.#window.copy(buffer, offset, position - this.#start, position - this.#start + length);
  }
}
