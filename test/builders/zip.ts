import { crc32, deflateRawSync } from 'node:zlib';

export interface ZipEntryOptions {
  readonly name: string;
  readonly content: Uint8Array | string;
  /** 0 stored, 8 deflate (default); others are told and stored. */
  readonly method?: number;
  readonly flags?: number;
  /** What the directory says instead of the truth. */
  readonly toldBytes?: number;
  readonly toldCrc?: number;
  /** The local header of this entry (its index) is told to be this one's too. */
  readonly sharesWith?: number;
}

/** A ZIP, byte by byte, so that it can lie. */
export function writeZip(entries: readonly ZipEntryOptions[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  const offsets: number[] = [];
  let offset = 0;
  for (const entry of entries) {
    const { method = 8, flags = 0x800 } = entry;
    const content = Buffer.from(entry.content);
    const packed = method === 8 ? deflateRawSync(content) : content;
    const name = Buffer.from(entry.name);
    const sizes = Buffer.alloc(12);
    sizes.writeUInt32LE(entry.toldCrc ?? crc32(content), 0);
    sizes.writeUInt32LE(packed.length, 4);
    sizes.writeUInt32LE(entry.toldBytes ?? content.length, 8);
    const common = Buffer.alloc(10);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(flags, 2);
    common.writeUInt16LE(method, 4);
    const lengths = Buffer.alloc(4);
    lengths.writeUInt16LE(name.length, 0);
    const own = offset;
    const start = entry.sharesWith === undefined ? own : (offsets[entry.sharesWith] ?? own);
    offsets.push(start);
    if (entry.sharesWith === undefined) {
      const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, sizes, lengths, name, packed]);
      parts.push(local);
      offset += local.length;
    }
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(start, 10);
    const made = Buffer.from('PK\x01\x02\x14\x00', 'latin1');
    directory.push(Buffer.concat([made, common, sizes, lengths, tail, name]));
  }
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(
    directory.reduce((sum, piece) => sum + piece.length, 0),
    12,
  );
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, ...directory, end]);
}
