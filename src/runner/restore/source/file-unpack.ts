import { mkdir, open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../../api/failure.ts';
import type { Bytes } from '../../../pipeline/bytes.ts';
import { isDumpFolderName } from '../../../pipeline/member-names.ts';
import { isDiskFull } from '../disk-full.ts';

export interface FolderFile {
  /** Without folders. */
  readonly name: string;
  readonly bytes: number;
  readonly content: Bytes;
}

const folderName = 'archive';
const hint = 'raise scratch.size';

/**
 * Writes the files of a dumped folder below `folder`, and returns where. Nothing is left behind when it fails.
 * @throws Failure DiskFull before the first byte when there is too little room for `totalBytes`, and later too; FileRefused for other names
 */
export async function unpackFolder(
  folder: string,
  files: AsyncIterable<FolderFile>,
  totalBytes: number,
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (totalBytes > free) {
    throw new Failure('DiskFull', `the archive unpacks to ${totalBytes} bytes; ${folder} has room for ${free}`, {
      hint,
    });
  }
  const target = join(folder, folderName);
  await rm(target, { recursive: true, force: true });
  await mkdir(target);
  try {
    for await (const file of files) {
      if (!isDumpFolderName(file.name)) throw new Failure('FileRefused', `${file.name} is no name that pg_dump writes`);
      await writeContent(join(target, file.name), file);
    }
    return target;
  } catch (error) {
    await rm(target, { recursive: true, force: true });
    throw error;
  }
}

async function writeContent(path: string, { name, bytes, content }: FolderFile): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  let written = 0;
  try {
    for await (const chunk of content) {
      written += chunk.length;
      if (written > bytes) throw new Failure('FileRefused', `${name} is larger than it says (${bytes} bytes)`);
      await file.writeFile(chunk);
    }
  } catch (error) {
    if (isDiskFull(error)) throw new Failure('DiskFull', `no room for ${name}`, { cause: error, hint });
    throw error;
  } finally {
    await file.close();
  }
  if (written !== bytes) throw new Failure('FileDamaged', `${name} has ${written} bytes instead of ${bytes}`);
}
