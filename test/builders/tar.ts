export interface TarEntryOptions {
  readonly name: string;
  readonly content?: string | Uint8Array;
  /** One letter; 0 if absent. */
  readonly type?: string;
  /** With the owner that pg_dump makes up. */
  readonly ofDump?: boolean;
}

/** A tar in ustar format, byte by byte. */
export function writeTar(entries: readonly TarEntryOptions[]): Buffer {
  const blocks = entries.flatMap(({ name, content = '', type = '0', ofDump = false }) => {
    const body = Buffer.from(content);
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write('0000644\0', 100);
    header.write(ofDump ? '0004000\0' : '0000000\0', 108);
    header.write(ofDump ? '0002000\0' : '0000000\0', 116);
    header.write(`${body.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('00000000000\0', 136);
    header.write('        ', 148);
    header.write(type, 156);
    header.write('ustar\x0000', 257, 'latin1');
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return [header, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}
