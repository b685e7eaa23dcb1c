import { Failure } from '../api/failure.ts';

export const tarBlock = 512;

/** One header of a tar. */
export interface TarHeader {
  readonly name: string;
  readonly bytes: number;
  /** One letter: 0 file, 5 folder, 1 and 2 links, x and g PAX, L and K long names of GNU. */
  readonly type: string;
  readonly owner: number;
  readonly group: number;
}

/** Whether 512 bytes are the header of a tar: their checksum says so. */
export function isTarHeader(block: Buffer): boolean {
  if (block.length < tarBlock || block[0] === 0) return false;
  const told = readOctal(block, 148, 8);
  if (told === undefined) return false;
  let sum = 0;
  for (let at = 0; at < tarBlock; at += 1) sum += at >= 148 && at < 156 ? 0x20 : (block[at] ?? 0);
  return sum === told;
}

/** @throws Failure FileDamaged */
export function readTarHeader(block: Buffer): TarHeader {
  if (!isTarHeader(block)) throw damaged('a header is no header');
  const bytes = readSize(block);
  if (bytes === undefined) throw damaged('a size is no number');
  const name = readString(block, 0, 100);
  const prefix = block.toString('latin1', 257, 263) === 'ustar\0' ? readString(block, 345, 155) : '';
  const type = String.fromCharCode(block[156] ?? 0);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    bytes,
    type: type === '\0' || type === '7' ? '0' : type,
    owner: readOctal(block, 108, 8) ?? -1,
    group: readOctal(block, 116, 8) ?? -1,
  };
}

/** pg_dump's own tars begin with toc.dat, of an owner that it made up: tar does not write those. */
export function isTarOfDump(block: Buffer): boolean {
  if (!isTarHeader(block)) return false;
  const { name, owner, group } = readTarHeader(block);
  return name === 'toc.dat' && owner === 0o4000 && group === 0o2000;
}

function readSize(block: Buffer): number | undefined {
  const first = block[124] ?? 0;
  if ((first & 0x80) === 0) return readOctal(block, 124, 12);
  // Numbers of more than 8 GiB are binary.
  let value = first & 0x7f;
  for (let at = 125; at < 136; at += 1) value = value * 256 + (block[at] ?? 0);
  return Number.isSafeInteger(value) ? value : undefined;
}

function readOctal(block: Buffer, start: number, length: number): number | undefined {
  const text = readString(block, start, length).trim();
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : undefined;
}

function readString(block: Buffer, start: number, length: number): string {
  const bytes = block.subarray(start, start + length);
  const zero = bytes.indexOf(0);
  return bytes.toString('utf8', 0, zero === -1 ? length : zero);
}

function damaged(what: string): Failure {
  return new Failure('FileDamaged', `the tar cannot be read: ${what}`);
}
