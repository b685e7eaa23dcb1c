import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** What a place that lies makes of a file that it has just acknowledged. */
export type Spoil =
  /** One bit somewhere. */
  | 'flip'
  /** Other bytes, as many. */
  | 'other'
  /** The first nine tenths. */
  | 'cut'
  | 'empty'
  /** From the middle on, the bytes are 16 KiB late: each write holds bytes of the one before. */
  | 'late'
  | 'forget'
  /** It changes places with another dump beside it, when there is one. */
  | 'swap'
  /** Another dump beside it is cut, when there is one. */
  | 'cut-other';

/** @returns whether anything was done */
export function spoilFile(spoil: Spoil, path: string): boolean {
  const { size } = statSync(path);
  if (spoil === 'forget') rmSync(path);
  else if (spoil === 'empty') truncate(path, 0);
  else if (spoil === 'cut') truncate(path, Math.floor(size * 0.9));
  else if (spoil === 'flip') flip(path, Math.floor(Math.random() * size));
  else if (spoil === 'other') writeFileSync(path, Buffer.alloc(size, 'other bytes '));
  else if (spoil === 'late') {
    const bytes = readFileSync(path);
    const middle = Math.floor(size / 2);
    overwrite(path, middle, bytes.subarray(middle - 16_384, size - 16_384));
  } else {
    const other = readdirSync(dirname(path)).find((name) => name.includes('.dump') && !path.endsWith(`/${name}`));
    if (other === undefined) return false;
    const otherPath = join(dirname(path), other);
    if (spoil === 'cut-other') return spoilFile('cut', otherPath);
    renameSync(path, `${path}.aside`);
    renameSync(otherPath, path);
    renameSync(`${path}.aside`, otherPath);
  }
  return true;
}

function flip(path: string, offset: number): void {
  const bytes = readFileSync(path);
  overwrite(path, offset, Buffer.of((bytes[offset] ?? 0) ^ 1));
}

function truncate(path: string, bytes: number): void {
  const file = openSync(path, 'r+');
  ftruncateSync(file, bytes);
  closeSync(file);
}

function overwrite(path: string, offset: number, bytes: Uint8Array): void {
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, offset);
  closeSync(file);
}

/** The file of this name, in whatever case it was given it; the path as it is when there is none. */
export function foldPath(path: string): string {
  const folder = dirname(path);
  const name = path.slice(folder.length + 1);
  if (!existsSync(folder)) return path;
  const found = readdirSync(folder).find((one) => one.toLowerCase() === name.toLowerCase());
  return join(folder, found ?? name);
}
