import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface Printed {
  /** Path from the root → content. */
  readonly files: ReadonlyMap<string, string>;
  /** Folders that hold nothing else. */
  readonly folders: readonly string[];
}

/** What is wrong on disk, one sentence for each file; empty when all is up to date. */
export async function findStaleFiles(root: string, printed: Printed): Promise<string[]> {
  const problems: string[] = [];
  for (const [path, content] of printed.files) {
    const found = await readIfThere(join(root, path));
    if (found === undefined) problems.push(`${path} is missing`);
    else if (found !== content) problems.push(`${path} is stale`);
  }
  for (const path of await findSurplusFiles(root, printed))
    problems.push(`${path} is surplus: nothing prints it any more`);
  return problems;
}

/** Writes what differs and removes what is surplus; returns the paths that changed. */
export async function writeFiles(root: string, printed: Printed): Promise<string[]> {
  const changed: string[] = [];
  for (const [path, content] of printed.files) {
    if ((await readIfThere(join(root, path))) === content) continue;
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
    changed.push(path);
  }
  for (const path of await findSurplusFiles(root, printed)) {
    await rm(join(root, path));
    changed.push(path);
  }
  return changed;
}

async function findSurplusFiles(root: string, printed: Printed): Promise<string[]> {
  const surplus: string[] = [];
  for (const folder of printed.folders) {
    for (const name of await listIfThere(join(root, folder))) {
      const path = `${folder}/${name}`;
      if (!printed.files.has(path)) surplus.push(path);
    }
  }
  return surplus;
}

async function readIfThere(path: string): Promise<string | undefined> {
  return ignoreAbsence(readFile(path, 'utf8'), undefined);
}

async function listIfThere(path: string): Promise<readonly string[]> {
  return ignoreAbsence<readonly string[]>(readdir(path), []);
}

async function ignoreAbsence<T>(pending: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await pending;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return otherwise;
    throw error;
  }
}
