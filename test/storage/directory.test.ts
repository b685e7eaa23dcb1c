import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDirectory } from '../../src/storage/directory.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { systemRandom } from '../../src/support/clock.ts';
import { listTree, makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { patternBody, readText, textBody } from '../suites/bodies.ts';
import { storageConformance } from '../suites/storage-conformance.ts';

const tools = { random: systemRandom };
const go = new AbortController().signal;

storageConformance(
  'a folder',
  async () => {
    const folder = await makeTemporaryFolder();
    const path = join(folder.path, 'root');
    await mkdir(path);
    return {
      open: () => openDirectory({ path }, tools),
      openMissing: () => openDirectory({ path: join(folder.path, 'absent') }, tools),
      lookFromOutside: () => listFilesAndFolders(folder.path),
      stop: () => folder.remove(),
    };
  },
  { hasCredentials: false },
);

/** A folder that only holds other entries is no remains of its own. */
async function listFilesAndFolders(path: string): Promise<readonly string[]> {
  const all = await listTree(path);
  return all.filter(
    (entry) => !entry.endsWith('/') || !all.some((other) => other !== entry && other.startsWith(entry)),
  );
}

describe('a folder of a file system', () => {
  let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
  let root: string;
  let storage: Storage;

  beforeEach(async () => {
    folder = await makeTemporaryFolder();
    root = join(folder.path, 'root');
    await mkdir(root);
    storage = openDirectory({ path: root }, tools);
  });
  afterEach(() => folder.remove());

  test('names itself by its URL', () => {
    expect(openDirectory({ path: '/var/back ups' }, tools).name).toBe('file:///var/back%20ups');
  });

  test('follows a symbolic link to the root itself', async () => {
    const link = join(folder.path, 'link');
    await symlink(root, link);
    await openDirectory({ path: link }, tools).put('a/b', textBody('x'), {}, go);
    expect(await readText(storage.get('a/b', undefined, go))).toBe('x');
  });

  test('says what is in the way when a key lies below another object', async () => {
    await storage.put('a', textBody('x'), {}, go);
    await expect(storage.put('a/b', textBody('y'), {}, go)).rejects.toMatchObject({ reason: 'StorageConfigInvalid' });
    await storage.put('c/d', textBody('x'), {}, go);
    await expect(storage.put('c', textBody('y'), {}, go)).rejects.toMatchObject({ reason: 'StorageConfigInvalid' });
    expect(await listTree(root)).toEqual([join(root, 'a'), join(root, 'c/'), join(root, 'c/d')]);
  });

  test('never shows the temporary file of a dead writer', async () => {
    await writeFile(join(root, '.pgbackup-tmp,0123456789abcdef01234567'), 'half');
    const listed: string[] = [];
    for await (const { key } of storage.list('', undefined, go)) listed.push(key);
    expect(listed).toEqual([]);
  });

  test('fails when the object becomes shorter while it is read', async () => {
    await storage.put('object', patternBody(4_000_000), {}, go);
    const reading = (async () => {
      for await (const _ of storage.get('object', undefined, go)) await writeFile(join(root, 'object'), 'short');
    })();
    await expect(reading).rejects.toMatchObject({ reason: 'StorageFailed' });
  });

  test('notices that the root went away', async () => {
    await storage.put('a/b', textBody('x'), {}, go);
    await rename(root, join(folder.path, 'elsewhere'));
    await expect(storage.stat('a/b', go)).rejects.toMatchObject({ reason: 'StorageMissing' });
    await expect(storage.put('a/c', textBody('x'), {}, go)).rejects.toMatchObject({ reason: 'StorageMissing' });
  });
});
