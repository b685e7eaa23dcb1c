import { open, type FileHandle } from 'node:fs/promises';
import type { Bytes } from '../pipeline/bytes.ts';

/**
 * Passes a stream on and writes its first `bytes` to a new file. Of a custom-format archive they are the table of contents, which is all
 * that pg_restore reads for what comes after the rows; what follows in the file does not matter. The file is to be used only when the whole
 * stream was read and proved itself.
 */
export async function* keepHead(source: Bytes, path: string, bytes: number): AsyncGenerator<Uint8Array, void, void> {
  let file: FileHandle | undefined = await open(path, 'wx', 0o600);
  let left = bytes;
  try {
    for await (const chunk of source) {
      if (file !== undefined) {
        const head = chunk.subarray(0, left);
        await file.writeFile(head);
        left -= head.length;
        if (left === 0) {
          await file.close();
          file = undefined;
        }
      }
      yield chunk;
    }
  } finally {
    await file?.close();
  }
}
