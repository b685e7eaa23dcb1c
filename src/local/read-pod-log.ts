import { open, type FileHandle } from 'node:fs/promises';

const chunkBytes = 64 * 1024;

/**
 * The text of a log file: its last lines if `tailLines` says so, and of that at most the first `limitBytes` bytes. Undefined when
 * there is no such file.
 */
export async function readPodLog(
  path: string,
  options: { readonly tailLines?: number; readonly limitBytes?: number },
): Promise<string | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { size } = await file.stat();
    const start = options.tailLines === undefined ? 0 : await findTail(file, size, options.tailLines);
    const wanted = Math.min(size - start, options.limitBytes ?? Number.POSITIVE_INFINITY);
    return (await readRange(file, start, wanted)).toString('utf8');
  } finally {
    await file.close();
  }
}

/** Where the last `lines` lines begin; a last line without an end counts. */
async function findTail(file: FileHandle, size: number, lines: number): Promise<number> {
  if (lines <= 0) return size;
  let left = lines;
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - chunkBytes);
    const chunk = await readRange(file, start, end - start);
    for (let at = chunk.length - 1; at >= 0; at--) {
      // The newline that ends the last line separates it from nothing.
      if (chunk[at] !== 0x0a || start + at === size - 1) continue;
      left -= 1;
      if (left === 0) return start + at + 1;
    }
    end = start;
  }
  return 0;
}

async function readRange(file: FileHandle, start: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, start + filled);
    // A file that somebody cut meanwhile.
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}
