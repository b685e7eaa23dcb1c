import { Failure } from '../api/failure.ts';
import type { Bytes } from './bytes.ts';
import { openByteCursor, type ByteCursor } from './byte-cursor.ts';
import { readTarHeader, tarBlock, type TarHeader } from './tar-header.ts';

export interface TarMember {
  readonly name: string;
  readonly bytes: number;
  readonly kind: 'file' | 'folder' | 'other';
  /** To be read before the next member is asked for, as far as it is wanted. */
  readonly content: Bytes;
}

const longestText = 64 * 1024;

/**
 * The members of a tar in their order (ustar, PAX, GNU), and at last all that follows it: what is compressed has its checksum there.
 * `reopen` gives the source from a byte on, where that is cheap: large members that nobody reads are skipped then.
 * @throws Failure FileDamaged when it is cut short or contradicts itself, FileUnknown for sparse files, and those of the source
 */
export async function* readTar(
  source: Bytes,
  reopen?: (offset: number) => Bytes,
): AsyncGenerator<TarMember, void, void> {
  const cursor = openByteCursor(source, reopen);
  try {
    let longName: string | undefined;
    let pax: ReadonlyMap<string, string> = new Map();
    for (;;) {
      const block = await cursor.take(tarBlock);
      if (block.length < tarBlock) throw cutShort();
      if (isZero(block)) break;
      const header = readTarHeader(block);
      if (header.type === 'L' || header.type === 'x') {
        const text = await readText(cursor, header);
        if (header.type === 'L') longName = text.replace(/\0[^]*$/, '');
        else pax = readPax(text);
        continue;
      }
      if (header.type === 'K' || header.type === 'g') {
        await readText(cursor, header);
        continue;
      }
      const sparse = header.type === 'S' || [...pax.keys()].some((key) => key.startsWith('GNU.sparse'));
      if (sparse) throw new Failure('FileUnknown', `the tar holds a sparse file: ${header.name.slice(0, 200)}`);
      const bytes = readBytes(pax.get('size')) ?? header.bytes;
      let left = bytes;
      const content = readContent(cursor, bytes, (taken) => {
        left -= taken;
      });
      yield {
        name: pax.get('path') ?? longName ?? header.name,
        bytes,
        kind: kindOf(header),
        content,
      };
      longName = undefined;
      pax = new Map();
      if (!(await cursor.skip(left + padding(bytes)))) throw cutShort();
    }
    await cursor.drain();
  } finally {
    await cursor.close();
  }
}

async function* readContent(
  cursor: ByteCursor,
  bytes: number,
  onTaken: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void, void> {
  for (let left = bytes; left > 0;) {
    const chunk = await cursor.next(left);
    if (chunk === undefined) throw cutShort();
    left -= chunk.length;
    onTaken(chunk.length);
    yield chunk;
  }
}

async function readText(cursor: ByteCursor, header: TarHeader): Promise<string> {
  if (header.bytes > longestText) throw new Failure('FileDamaged', 'the tar has a header of more than 64 KiB');
  const bytes = header.bytes + padding(header.bytes);
  const text = await cursor.take(bytes);
  if (text.length < bytes) throw cutShort();
  return text.toString('utf8', 0, header.bytes);
}

/** Records `length key=value\n`; lengths count bytes. */
function readPax(text: string): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    const [, digits = '', key = ''] = /^([0-9]+) ([^=]+)=/.exec(rest.toString('utf8')) ?? [];
    const length = Number(digits);
    const start = Buffer.byteLength(digits) + 1 + Buffer.byteLength(key) + 1;
    if (length <= start || length > rest.length)
      throw new Failure('FileDamaged', 'the tar has a header that is no PAX');
    records.set(key, rest.toString('utf8', start, length - 1));
    rest = rest.subarray(length);
  }
  return records;
}

function readBytes(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const bytes = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(bytes)) throw new Failure('FileDamaged', 'the tar has a size that is no number');
  return bytes;
}

function kindOf({ type, name }: TarHeader): TarMember['kind'] {
  if (type === '5' || (type === '0' && name.endsWith('/'))) return 'folder';
  return type === '0' ? 'file' : 'other';
}

function padding(bytes: number): number {
  return (tarBlock - (bytes % tarBlock)) % tarBlock;
}

function isZero(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

function cutShort(): Failure {
  return new Failure('FileDamaged', 'the tar is cut short');
}
