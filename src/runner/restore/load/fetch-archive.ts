import { open } from 'node:fs/promises';
import { Failure } from '../../../api/failure.ts';
import type { Bytes } from '../../../pipeline/bytes.ts';
import { isDiskFull } from '../disk-full.ts';

/** Writes all bytes to a new file. @throws Failure DiskFull, and what the source throws; the file is of no use then */
export async function fetchArchive(source: Bytes, path: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const chunk of source) {
      for (let offset = 0; offset < chunk.length;) {
        offset += (await write(() => file.write(chunk, offset, chunk.length - offset), path)).bytesWritten;
      }
    }
  } catch (error) {
    await file.close();
    throw error;
  }
  // Some file systems tell only here that there was no room. Nothing is synced: nobody needs this file after a crash.
  await write(() => file.close(), path);
}

async function write<T>(work: () => Promise<T>, path: string): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    throw new Failure('DiskFull', `no room for the archive on the scratch volume (${path})`, {
      cause: error,
      hint: 'raise scratch.size, or restore with options.jobs: 1, which needs no disk',
    });
  }
}
