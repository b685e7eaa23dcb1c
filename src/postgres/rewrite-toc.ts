import { createReadStream } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bytes } from '../pipeline/bytes.ts';
import type { Damaged } from './archive-toc.ts';
import { rewriteDefinitions, type RewriteDefinition } from './rewrite-definitions.ts';

/** Writes other definitions into a dumped folder, which must be our own copy. @throws `damaged` */
export async function rewriteToc(
  folder: string,
  rewrite: RewriteDefinition,
  damaged: Damaged,
  signal: AbortSignal,
): Promise<void> {
  const path = join(folder, 'toc.dat');
  const source = createReadStream(path, { signal }) satisfies Bytes;
  const rewritten = `${path}.new`;
  await writeFile(rewritten, rewriteDefinitions(source, damaged, 'directory', rewrite), { mode: 0o600 });
  await rename(rewritten, path);
}
