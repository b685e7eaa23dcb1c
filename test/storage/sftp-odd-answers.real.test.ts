import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSftp } from '../../src/storage/sftp.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { type ScriptedSftp, startScriptedSftp } from '../servers/scripted-sftp.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { digest, patternBody, readText, textBody } from '../suites/bodies.ts';

const go = new AbortController().signal;
const all = ['fsync', 'posix-rename', 'hardlink', 'statvfs'];

let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
let root: string;
let server: ScriptedSftp;
let storage: Storage;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  root = join(folder.path, 'root');
  await mkdir(root);
  const user = { username: 'backup', password: 'a secret of the server' };
  server = await startScriptedSftp({ dir: root, ...user, habits: { offers: all } });
  const place = { host: '127.0.0.1', port: server.port, path: root, hostKeys: [server.hostKey] };
  storage = openSftp({ ...place, ...user }, { clock: systemClock, random: systemRandom });
});
afterEach(async () => {
  await storage.close();
  await server.stop();
  await folder.remove();
});

const put = (key: string, text: string) => storage.put(key, textBody(text), {}, go);

describe('limits of a server', () => {
  test.each([
    ['far beyond what a number can say', { packet: 2 ** 63, read: 2 ** 63, write: 2 ** 63 }],
    ['none for packets, and huge ones for requests', { packet: 0, read: 2 ** 40, write: 2 ** 40 }],
    ['huge for packets, and none for requests', { packet: 2 ** 40, read: 0, write: 0 }],
    ['for reading that are larger than those for packets', { packet: 4096, read: 2 ** 20, write: 2 ** 20 }],
  ])('%s are lived with', async (_, limits) => {
    server.habits = { offers: all, limits };
    await storage.put('object', patternBody(3_000_001), {}, go);
    expect(await digest(storage.get('object', undefined, go))).toBe(await digest(patternBody(3_000_001)));
  });
});

describe('a request that a server does not know', () => {
  test.each([
    ['lstat', 4],
    ['lstat', 3],
    ['fstat', 4],
    ['fstat', 3],
    ['readlink', 4],
    ['statvfs', 4],
  ])('(%s) and refuses with status %i is done without', async (request, code) => {
    server.script = (what) => (what === request ? { code, message: '' } : undefined);
    await put('a/b/object', 'text');
    await put('a/b/object', 'longer text');
    expect(await readText(storage.get('a/b/object', undefined, go))).toBe('longer text');
    expect((await storage.stat('a/b/object', go))?.bytes).toBe(11);
    expect(await storage.stat('a/absent', go)).toBeUndefined();
    await storage.delete('a/b/object', go);
    expect(await readdir(root)).toEqual([]);
  });

  test('(realpath) leaves the path as it was written', async () => {
    server.script = (what) => (what === 'realpath' ? { code: 8, message: 'Operation unsupported' } : undefined);
    await put('object', 'text');
    expect(await readdir(root)).toEqual(['object']);
  });
});

describe('a full disk', () => {
  test.each([
    [4, 'Disk quota exceeded'],
    [4, 'No space left on device'],
    [4, 'There is not enough space on the disk'],
    [4, 'insufficient disk space'],
    [4, 'The volume is full'],
    [3, 'Permission denied: quota of the user is reached'],
    [14, ''],
    [15, ''],
  ])('that is told by status %i "%s" is StorageFull', async (code, message) => {
    server.script = (what) => (what === 'write' ? { code, message } : undefined);
    await expect(put('object', 'x')).rejects.toMatchObject({ reason: 'StorageFull' });
    expect(await readdir(root)).toEqual([]);
  });

  test.each([
    [3, 'Permission denied', 'StorageDenied'],
    [4, 'The request exceeds the limits of the protocol', 'StorageFailed'],
    [9, 'Invalid handle', 'StorageFailed'],
    [12, 'Write protected', 'StorageDenied'],
  ])('is none where status %i says "%s": %s', async (code, message, reason) => {
    server.habits = { offers: all, freeBytes: 1 << 30 };
    server.script = (what) => (what === 'write' ? { code, message } : undefined);
    await expect(put('object', 'x')).rejects.toMatchObject({ reason });
  });
});

test('a file that ends before the size that the server told is a failure, not the whole', async () => {
  await storage.put('object', patternBody(300_000), {}, go);
  server.script = (what, index) => (what === 'read' && index >= 5 ? { code: 1, message: 'End of file' } : undefined);
  await expect(digest(storage.get('object', undefined, go))).rejects.toMatchObject({ reason: 'StorageFailed' });
});
