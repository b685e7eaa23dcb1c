import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openApart } from '../../src/storage/apart.ts';
import { limitStorage } from '../../src/storage/limit.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { WholeBytes } from '../../src/storage/whole-bytes.ts';
import { systemClock } from '../../src/support/clock.ts';
import { lacksMounts, startHangingMount, type HangingMount, type MountOperation } from '../servers/hanging-mount.ts';
import { readText } from '../suites/bodies.ts';

const lack = await lacksMounts();
const go = new AbortController().signal;
let folder: string;
let mount: HangingMount;
let storage: Storage;

beforeEach(async ({ skip }) => {
  skip(lack !== undefined, lack);
  folder = await mkdtemp(join(tmpdir(), 'hanging-'));
  mount = await startHangingMount(folder);
  const apart = openApart({ path: mount.path });
  // Not timed: here its process starts.
  await apart.put('folder/object', new WholeBytes(Buffer.from('bytes')), {}, go);
  storage = limitStorage(apart, {
    answerMs: 4_000,
    stallMs: 4_000,
    // Also for the first answer after a silence: on a busy machine half a second was too little once.
    tidyMs: 3_000,
    clock: systemClock,
  });
});
afterEach(async () => {
  await storage?.close();
  await mount?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

const put = (): Promise<unknown> =>
  storage.put('new/object', new WholeBytes(Buffer.from('x')), { onlyIfAbsent: true }, go);
const list = async (): Promise<void> => {
  for await (const _ of storage.list('', undefined, go));
};
const calls: readonly (readonly [MountOperation, string, () => Promise<unknown>])[] = [
  ['getattr', 'a stat', () => storage.stat('folder/object', go)],
  ['readdir', 'a listing', list],
  ['read', 'a read', () => readText(storage.get('folder/object', undefined, go))],
  ['open', 'an open', () => readText(storage.get('folder/object', undefined, go))],
  ['mkdir', 'a put', put],
  ['create', 'a put', put],
  ['write', 'a put', put],
  ['fsync', 'a put', put],
  ['link', 'a put', put],
  ['unlink', 'a delete', () => storage.delete('folder/object', go)],
  ['rmdir', 'a delete', () => storage.delete('folder/object', go)],
];

describe('A folder on a file system that hangs in the kernel', () => {
  test.each(calls)(
    'at %s ends %s with StorageUnreachable, and goes on when it answers again',
    async (operation, _, call) => {
      await mount.hang(operation);
      await expect(call()).rejects.toMatchObject({ reason: 'StorageUnreachable' });
      expect(await mount.met()).toBe(true);
      await mount.hang(undefined);
      await storage.put('after', new WholeBytes(Buffer.from('works')), {}, go);
      expect(await readText(storage.get('after', undefined, go))).toBe('works');
    },
  );

  test('is closed all the same', async () => {
    await mount.hang('getattr');
    await expect(storage.stat('folder/object', go)).rejects.toMatchObject({ reason: 'StorageUnreachable' });
    await expect(storage.close()).resolves.toBeUndefined();
  });

  test('does not hold the files of another folder', async () => {
    const other = openApart({ path: folder });
    await mount.hang('getattr');
    // More than there are threads for file calls in one process.
    const hanging = Array.from({ length: 16 }, async () => storage.stat('folder/object', go).catch(() => undefined));
    await other.put('beside', new WholeBytes(Buffer.from('works')), {}, go);
    expect(await readText(other.get('beside', undefined, go))).toBe('works');
    await other.close();
    await Promise.all(hanging);
  });

  test('that is frozen answers nothing in time either', async () => {
    mount.freeze(true);
    await expect(list()).rejects.toMatchObject({ reason: 'StorageUnreachable' });
    mount.freeze(false);
    await expect(list()).resolves.toBeUndefined();
  });
});
