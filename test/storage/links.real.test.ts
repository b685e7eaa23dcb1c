import { mkdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openApart } from '../../src/storage/apart.ts';
import { openDirectory } from '../../src/storage/directory.ts';
import { openSftp } from '../../src/storage/sftp.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { findProgram } from '../servers/programs.ts';
import { type Sshd, startSshd } from '../servers/sshd.ts';
import { listTree, makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { readText, textBody } from '../suites/bodies.ts';

const tools = { clock: systemClock, random: systemRandom };
const go = new AbortController().signal;
let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
let sshd: Sshd | undefined;
let root: string;
let storage: Storage;

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  if (findProgram('sshd') !== undefined) sshd = await startSshd({ dir: join(folder.path, 'sshd') });
});
afterAll(async () => {
  await sshd?.stop();
  await folder.remove();
});

const openServer = (path: string): Storage => {
  if (sshd === undefined) throw new Error('there is no sshd');
  const { host, port, username, privateKey, hostKeys } = sshd;
  return openSftp({ host, port, username, privateKey, hostKeys, path }, tools);
};

const drivers: readonly [string, (path: string) => Storage][] = [
  ['a folder', (path) => openDirectory({ path }, tools)],
  ['a folder of another process', (path) => openApart({ path })],
  ['an SFTP server', openServer],
];

describe.each(drivers)('symbolic links in %s', (name, open) => {
  let run = 0;
  beforeEach(async () => {
    run += 1;
    const own = join(folder.path, `${name.replaceAll(' ', '-')}-${run}`);
    root = join(own, 'root');
    await mkdir(join(root, 'dumps/01'), { recursive: true });
    await mkdir(join(own, 'outside'));
    await writeFile(join(own, 'outside/secret.sql'), 'of somebody else');
    await writeFile(join(root, 'dumps/01/a.sql'), 'the dump');
    await utimes(join(root, 'dumps/01/a.sql'), 1000, 1000);
    const links: readonly [string, string][] = [
      ['latest.sql', 'dumps/01/a.sql'],
      ['absolute.sql', join(root, 'dumps/01/a.sql')],
      ['again.sql', './latest.sql'],
      ['current', 'dumps/01'],
      ['dumps/newest', '../current/'],
      ['dumps/round', '..'],
      ['out', '../outside'],
      ['out.sql', 'current/../../../outside/secret.sql'],
      ['dangling.sql', 'dumps/02/a.sql'],
      ['loop', 'loop'],
      ['self', '.'],
    ];
    for (const [at, target] of links) await symlink(target, join(root, at));
    storage = open(root);
  });
  afterEach(() => storage.close());

  const keys = async (prefix: string, told?: Map<string, string>): Promise<string[]> => {
    const found: string[] = [];
    const leftOut = told && ((key: string, { reason }: { readonly reason: string }) => void told.set(key, reason));
    for await (const { key, target } of storage.list(prefix, undefined, go, leftOut)) {
      found.push(target === undefined ? key : `${key} -> ${target}`);
    }
    return found;
  };

  test('that stay inside are followed by who reads', async () => {
    for (const key of [
      'latest.sql',
      'absolute.sql',
      'again.sql',
      'current/a.sql',
      'dumps/newest/a.sql',
      'self/latest.sql',
    ]) {
      expect(await readText(storage.get(key, undefined, go))).toBe('the dump');
      const seen = { key, bytes: 8, modifiedAtMs: 1_000_000, target: 'dumps/01/a.sql' };
      expect(await storage.stat(key, go)).toEqual(seen);
    }
    expect(await storage.stat('dumps/01/a.sql', go)).not.toHaveProperty('target');
    for (const key of ['dangling.sql', 'loop', 'current', 'latest.sql/x']) {
      expect(await storage.stat(key, go)).toBeUndefined();
      await expect(readText(storage.get(key, undefined, go))).rejects.toMatchObject({ reason: 'ObjectMissing' });
    }
  });

  test('that lead out are refused by their names', async () => {
    for (const key of ['out/secret.sql', 'out.sql']) {
      const denied = {
        reason: 'StorageDenied',
        message: expect.stringContaining(`${key} is a symbolic link`) as string,
      };
      await expect(storage.stat(key, go)).rejects.toMatchObject(denied);
      await expect(readText(storage.get(key, undefined, go))).rejects.toMatchObject(denied);
      await expect(storage.delete(key, go)).rejects.toMatchObject({ reason: 'StorageDenied' });
    }
    await expect(keys('out/', new Map())).rejects.toMatchObject({ reason: 'StorageDenied' });
    expect(await readFile(join(root, '../outside/secret.sql'), 'utf8')).toBe('of somebody else');
  });

  test('are listed for who can do without them, each folder once, and those that are not followed are told', async () => {
    const told = new Map<string, string>();
    expect(await keys('', told)).toEqual([
      'absolute.sql -> dumps/01/a.sql',
      'again.sql -> dumps/01/a.sql',
      'current/a.sql -> dumps/01/a.sql',
      'dumps/01/a.sql',
      'dumps/newest/a.sql -> dumps/01/a.sql',
      'latest.sql -> dumps/01/a.sql',
    ]);
    expect(Object.fromEntries(told)).toEqual({ out: 'StorageDenied', 'out.sql': 'StorageDenied' });
    expect(await keys('current/', new Map())).toEqual(['current/a.sql -> dumps/01/a.sql']);
    expect(await keys('latest', new Map())).toEqual(['latest.sql -> dumps/01/a.sql']);
    expect(await keys('')).toEqual(['dumps/01/a.sql']);
    expect(await keys('current/')).toEqual([]);
    expect(await keys('out/')).toEqual([]);
  });

  test('to folders are not followed behind another one, where they could double without end', async () => {
    for (const one of ['a', 'b', 'c']) {
      await mkdir(join(root, one));
      await writeFile(join(root, one, 'x.sql'), 'x');
      for (const other of ['a', 'b', 'c']) await symlink(`../${other}`, join(root, one, `to-${other}`));
    }
    const told = new Map<string, string>();
    const found = await keys('a/', told);
    expect(found).toEqual(['a/to-b/x.sql -> b/x.sql', 'a/to-c/x.sql -> c/x.sql', 'a/x.sql']);
    expect(told.get('a/to-b/to-c')).toBe('StorageConfigInvalid');
    expect(await keys('a/to-b/to-c/', new Map())).toContain('a/to-b/to-c/x.sql -> c/x.sql');
  });

  test('are no way to write or delete anything', async () => {
    const before = await listTree(root);
    for (const key of ['current/a.sql', 'latest.sql']) {
      await expect(storage.delete(key, go)).rejects.toMatchObject({ reason: 'StorageDenied' });
    }
    for (const key of ['current/new.sql', 'out/new.sql']) {
      await expect(storage.put(key, textBody('x'), {}, go)).rejects.toMatchObject({ reason: 'StorageDenied' });
    }
    expect(await listTree(root)).toEqual(before);
    expect(await listTree(join(root, '../outside'))).toEqual([join(root, '../outside/secret.sql')]);
  });
});
