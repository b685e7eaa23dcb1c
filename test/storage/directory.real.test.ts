import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDirectory } from '../../src/storage/directory.ts';
import { systemRandom } from '../../src/support/clock.ts';
import { listTree, makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { patternBody, readText, textBody } from '../suites/bodies.ts';

const run = promisify(execFile);
const go = new AbortController().signal;
let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
let mounted = false;

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  mounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'pgbackup-test', folder.path]).then(
    () => true,
    () => false,
  );
});
afterAll(async () => {
  if (mounted) await run('umount', [folder.path]);
  await folder.remove();
});

test('a full file system is StorageFull, a read-only one StorageDenied, and nothing is left', async ({ skip }) => {
  skip(!mounted, 'a file system can only be mounted as root');
  const storage = openDirectory({ path: folder.path }, { random: systemRandom });
  await storage.put('older', textBody('untouched'), {}, go);
  const tooBig = storage.put('a/older', patternBody(9_000_000), {}, go);
  await expect(tooBig).rejects.toMatchObject({ reason: 'StorageFull' });
  expect(await listTree(folder.path)).toEqual([`${folder.path}/older`]);

  await run('mount', ['-o', 'remount,ro', folder.path]);
  const denied = { reason: 'StorageDenied' };
  await expect(storage.put('new', textBody('x'), {}, go)).rejects.toMatchObject(denied);
  await expect(storage.delete('older', go)).rejects.toMatchObject(denied);
  expect(await readText(storage.get('older', undefined, go))).toBe('untouched');
});
