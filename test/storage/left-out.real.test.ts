import { execFile } from 'node:child_process';
import { chmod, copyFile, cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { openApart } from '../../src/storage/apart.ts';
import { openDirectory } from '../../src/storage/directory.ts';
import { limitStorage } from '../../src/storage/limit.ts';
import { prefixStorage } from '../../src/storage/prefix.ts';
import { retryStorage } from '../../src/storage/retry.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';

const tools = { clock: systemClock, random: systemRandom };
const go = new AbortController().signal;
const nobody = 65_534;
let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
let storage: Storage | undefined;
const { execPath } = process;

/** The other process is started as nobody, who may not be allowed to read this checkout, nor the Node in it: a copy of what it needs. */
let program: Awaited<ReturnType<typeof makeTemporaryFolder>>;
let copied: { readonly openApart: typeof openApart };

beforeAll(async () => {
  program = await makeTemporaryFolder();
  const root = join(import.meta.dirname, '..', '..');
  for (const name of ['src', 'package.json', 'node_modules/zod']) {
    await cp(join(root, name), join(program.path, name), { recursive: true, dereference: true });
  }
  await copyFile(execPath, join(program.path, 'node'));
  await promisify(execFile)('chmod', ['-R', 'a+rX', program.path]);
  copied = (await import(pathToFileURL(join(program.path, 'src/storage/apart.ts')).href)) as typeof copied;
  process.execPath = join(program.path, 'node');
});
afterAll(async () => {
  process.execPath = execPath;
  await program.remove();
});
beforeEach(async () => {
  folder = await makeTemporaryFolder();
  await chmod(folder.path, 0o755);
  for (const path of ['top/lost+found', 'top/ours/a', 'top/ours/closed']) {
    await mkdir(join(folder.path, path), { recursive: true });
    await writeFile(join(folder.path, path, 'x'), 'x');
  }
  for (const path of ['top/lost+found', 'top/ours/closed']) await chmod(join(folder.path, path), 0);
  // Root may read everything.
  if (process.getuid?.() === 0) process.seteuid?.(nobody);
});
afterEach(async () => {
  if (process.getuid?.() === 0) process.seteuid?.(0);
  await storage?.close();
  for (const path of ['top/lost+found', 'top/ours/closed']) await chmod(join(folder.path, path), 0o755);
  await folder.remove();
});

/** As runs open places: in front of the driver stand retries, limits and, for a folder, another process. */
function open(driver: Storage): Storage {
  const limits = { answerMs: 60_000, stallMs: 60_000, tidyMs: 5_000, clock: systemClock };
  return prefixStorage(limitStorage(retryStorage(driver, { attempts: 2, ...tools }), limits), 'top');
}

test.each<[string, (path: string) => Storage]>([
  ['in this process', (path) => openDirectory({ path }, tools)],
  ['in one of its own', (path) => copied.openApart({ path })],
])('a folder that may not be read (%s) ends a listing, but for who can do without it', async (_, start) => {
  const opened = open(start(folder.path));
  storage = opened;
  const told: string[] = [];
  const keys = async (prefix: string, goesOn: boolean): Promise<string[]> => {
    const found: string[] = [];
    const leftOut = goesOn ? (one: string) => void told.push(one) : undefined;
    for await (const { key } of opened.list(prefix, undefined, go, leftOut)) found.push(key);
    return found;
  };
  const denied = { reason: 'StorageDenied' };
  await expect(keys('', false)).rejects.toMatchObject(denied);
  await expect(keys('ours/', false)).rejects.toMatchObject(denied);
  expect(await keys('', true)).toEqual(['ours/a/x']);
  expect(told).toEqual(['lost+found/', 'ours/closed/']);
  await expect(keys('ours/closed/', true)).rejects.toMatchObject(denied);
  expect(await keys('ours/a', false)).toEqual(['ours/a/x']);
  expect(await keys('../', true)).toEqual([]);
});
