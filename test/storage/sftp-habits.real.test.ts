import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Failure } from '../../src/api/failure.ts';
import { openSftp } from '../../src/storage/sftp.ts';
import type { SftpOptions } from '../../src/storage/sftp-options.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import type { SftpHabits, ToldAttributes } from '../servers/scripted-sftp-files.ts';
import { type ScriptedSftp, startScriptedSftp } from '../servers/scripted-sftp.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { digest, patternBody, readText, textBody } from '../suites/bodies.ts';

// Servers as they are: what they offer and refuse, leave out, tell late or never.

/** Waits are short, and no fewer. */
const hasty = { ...systemClock, sleep: (ms: number, signal: AbortSignal) => systemClock.sleep(ms / 50, signal) };
const tools = { clock: systemClock, random: systemRandom };
const go = new AbortController().signal;
const user = { username: 'backup', password: 'a secret of the server' };
const all = ['fsync', 'posix-rename', 'hardlink', 'statvfs'];
const refusals = [
  { code: 3, message: 'Permission denied' },
  { code: 4, message: 'Failure' },
  { code: 8, message: 'Operation unsupported' },
];

let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
let root: string;
let server: ScriptedSftp;
let options: SftpOptions;
let storage: Storage;
/** What was asked, with paths below the root. */
let asked: string[];

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  root = join(folder.path, 'root');
  await mkdir(root);
  server = await startScriptedSftp({ dir: root, ...user });
  options = { host: '127.0.0.1', port: server.port, path: root, hostKeys: [server.hostKey], ...user };
  storage = openSftp(options, tools);
  follow(() => undefined);
});
afterEach(async () => {
  await storage.close();
  await server.stop();
  await folder.remove();
});

/** Follows what is asked; the script says what goes wrong. */
function follow(script: ScriptedSftp['script']): void {
  asked = [];
  server.script = (what, index, path) => {
    asked.push(path === '' ? what : `${what} ${path.slice(root.length + 1)}`);
    return script(what, index, path);
  };
}

const be = (habits: SftpHabits): void => {
  server.habits = habits;
};
const put = (key: string, text: string, onlyIfAbsent = false) => storage.put(key, textBody(text), { onlyIfAbsent }, go);
const text = (key: string) => readText(storage.get(key, undefined, go));
async function keys(prefix = '', leftOut?: (folder: string, failure: Failure) => void): Promise<string[]> {
  const found: string[] = [];
  for await (const { key, bytes } of storage.list(prefix, undefined, go, leftOut)) found.push(`${key} ${bytes}`);
  return found;
}
const times = (what: string): number => asked.filter((one) => one.split(' ')[0] === what).length;

describe('the limits of a server', () => {
  test('of one byte a request are kept', async () => {
    be({ limits: { packet: 301, read: 1, write: 0 } });
    await storage.put('object', patternBody(2_000), {}, go);
    expect(await digest(storage.get('object', undefined, go))).toBe(await digest(patternBody(2_000)));
    expect(times('write')).toBe(2_000);
  });

  test('that leave no room for a byte are told', async () => {
    be({ limits: { packet: 100, read: 0, write: 0 } });
    await expect(put('object', 'x')).rejects.toMatchObject({
      reason: 'StorageConfigInvalid',
      message: expect.stringContaining('100 bytes') as string,
    });
  });

  test('are not assumed where it offers to tell them and refuses', async () => {
    be({ limits: { packet: 0, read: 0, write: 28 * 1024 } });
    follow((what) => (what === 'limits' ? { code: 8, message: 'Operation unsupported' } : undefined));
    await storage.put('object', patternBody(1_000_000), {}, go);
    expect(await digest(storage.get('object', undefined, go))).toBe(await digest(patternBody(1_000_000)));
  });
});

describe('packets that may hold next to nothing', () => {
  // With 0 ssh2 would loop for ever in one step: neither this test nor a deadline could end it.
  test.each([0, 1, 1023])('are refused: %i bytes', async (packetBytes) => {
    server.habits = { packetBytes };
    const failure = await storage.put('object', textBody('x'), {}, go).catch((error: Failure) => error);
    expect(failure).toMatchObject({ reason: 'StorageConfigInvalid' });
    expect((failure as Failure).message).toContain(`packets of ${packetBytes} bytes`);
    expect(await readdir(root)).toEqual([]);
    server.habits = {};
    await storage.put('object', textBody('x'), {}, go);
    expect(await readText(storage.get('object', undefined, go))).toBe('x');
  });

  test('are enough from 1024 bytes on', async () => {
    server.habits = { packetBytes: 1024, offers: all };
    await storage.put('object', patternBody(1_000_001), {}, go);
    expect(await digest(storage.get('object', undefined, go))).toBe(await digest(patternBody(1_000_001)));
  });
});

describe('what makes objects last', () => {
  test('is done for the file before it is seen, and for each folder that got a new name', async () => {
    be({ offers: all });
    await put('a/b/object', 'x', true);
    const folders = asked.filter((one) => ['open ', 'open a', 'open a/b'].includes(one));
    expect(folders).toEqual(['open ', 'open a', 'open a/b']);
    // Once for the bytes, and once for each folder.
    expect(times('fsync')).toBe(4);
    const seen = asked.findIndex((one) => one === 'hardlink');
    expect(asked.lastIndexOf('write')).toBeLessThan(asked.lastIndexOf('fsync', seen));
    expect(asked.indexOf('open a/b')).toBeGreaterThan(seen);
  });

  test.each([refusals[1], refusals[2]])('is offered and refused, always: %o is remembered', async (refusal) => {
    be({ offers: all });
    follow((what) => (what === 'fsync' ? refusal : undefined));
    await storage.put('a/big', patternBody(1_000_000), {}, go);
    await put('a/object', 'x');
    expect(await text('a/object')).toBe('x');
    expect(times('fsync')).toBeLessThanOrEqual(2);
  });

  test('fails when it worked before, and nothing is left', async () => {
    be({ offers: all, freeBytes: 1 << 30 });
    await put('older', 'x');
    follow((what) => (what === 'fsync' ? { code: 4, message: 'Failure' } : undefined));
    await expect(put('object', 'x')).rejects.toMatchObject({ reason: 'StorageFailed' });
    expect(await readdir(root)).toEqual(['older']);
  });

  test('may not be possible for folders only', async () => {
    be({ offers: all });
    follow((what, _, path) => (what === 'open' && path === root ? { code: 4, message: 'Failure' } : undefined));
    await put('object', 'x');
    await put('another', 'x');
    expect(asked.filter((one) => one === 'open ')).toHaveLength(1);
    expect((await readdir(root)).sort()).toEqual(['another', 'object']);
  });
});

describe('an extension that is offered and refused', () => {
  test.each(refusals)('posix-rename (%o): objects are replaced, and it is not asked for again', async (refusal) => {
    be({ offers: all });
    follow((what) => (what === 'posix-rename' ? refusal : undefined));
    await put('object', 'first');
    await put('object', 'second');
    await put('object', 'third');
    expect(await text('object')).toBe('third');
    expect(times('posix-rename')).toBe(1);
    expect(await readdir(root)).toEqual(['object']);
  });

  test.each(refusals)('hardlink (%o): what is to be absent is looked up, and it says so', async (refusal) => {
    be({ offers: all });
    follow((what) => (what === 'hardlink' ? refusal : undefined));
    await put('object', 'first', true);
    expect(storage.conditionalPut).toBe(false);
    await expect(put('object', 'second', true)).rejects.toMatchObject({ reason: 'AlreadyStored' });
    await put('another', 'x', true);
    expect(times('hardlink')).toBe(1);
    expect(await text('object')).toBe('first');
    expect((await readdir(root)).sort()).toEqual(['another', 'object']);
  });

  test('hardlink that is answered and not made loses nothing', async () => {
    be({ offers: all });
    follow((what) => (what === 'hardlink' ? 'pretence' : undefined));
    await put('object', 'first', true);
    expect(await text('object')).toBe('first');
    expect(storage.conditionalPut).toBe(false);
    await expect(put('object', 'second', true)).rejects.toMatchObject({ reason: 'AlreadyStored' });
    expect(await text('object')).toBe('first');
  });

  test('is remembered over connections', async () => {
    be({ offers: all });
    follow((what, index) => {
      if (what === 'hardlink') return refusals[2];
      return what === 'write' && index === 1 ? 'disconnect' : undefined;
    });
    await put('object', 'x', true);
    await expect(put('broken', 'x', true)).rejects.toMatchObject({ reason: 'StorageUnreachable' });
    await put('another', 'x', true);
    expect(times('init')).toBe(2);
    expect(times('hardlink')).toBe(1);
  });

  test('renaming at all is StorageDenied with what to allow, and nothing is left', async () => {
    follow((what) => (what === 'rename' ? refusals[0] : undefined));
    await expect(put('a/object', 'x')).rejects.toMatchObject({
      reason: 'StorageDenied',
      hint: expect.stringContaining('rename') as string,
    });
    expect(await readdir(root)).toEqual([]);
  });

  test.each(['lstat', 'fstat'])('%s, which others have, is done without', async (request) => {
    be({ offers: all });
    follow((what) => (what === request ? refusals[2] : undefined));
    await put('a/b/object', 'text');
    await put('a/b/object', 'longer text');
    expect(await text('a/b/object')).toBe('longer text');
    expect(await keys()).toEqual(['a/b/object 11']);
    expect(await storage.stat('a/absent', go)).toBeUndefined();
    await storage.delete('a/b/object', go);
    expect(await readdir(root)).toEqual([]);
  });
});

describe('attributes', () => {
  const untold: readonly [string, (told: ToldAttributes) => ToldAttributes][] = [
    ['the bits of types', (told) => ({ ...told, mode: (told.mode ?? 0) & 0o777 })],
    ['permissions', ({ size, mtime }) => ({ size, mtime })],
    ['sizes', ({ mode, mtime }) => ({ mode, mtime })],
    ['times', ({ size, mode }) => ({ size, mode })],
    ['anything', () => ({})],
  ];
  const lists: readonly [string, SftpHabits][] = [
    ['listings without', {}],
    ['listings with', { listsAttributes: true }],
    ['lines of ls', { listsAttributes: true, longNames: true }],
  ];
  const cases = untold.flatMap(([what, tells]) =>
    lists.map(([how, habits]) => [what, how, { ...habits, tells }] as const),
  );
  test.each(cases)('without %s, %s, are enough', async (_what, _how, habits) => {
    be({ offers: all, ...habits });
    await mkdir(join(root, 'outside'));
    await symlink(join(root, 'outside'), join(root, 'link'));
    await put('a/b/object', 'first text');
    await put('a/b/object', 'text');
    await put('a/b', 'x').catch((error: unknown) => expect(error).toMatchObject({ reason: 'StorageConfigInvalid' }));
    await storage.put('a/big', patternBody(1_000_003), { onlyIfAbsent: true }, go);
    expect(await keys()).toEqual(['a/b/object 4', 'a/big 1000003']);
    expect(await storage.stat('a/big', go)).toMatchObject({ bytes: 1_000_003 });
    expect(await storage.stat('a/b', go)).toBeUndefined();
    expect(await digest(storage.get('a/big', undefined, go))).toBe(await digest(patternBody(1_000_003)));
    expect(await text('a/b/object')).toBe('text');
    await expect(put('link/object', 'x')).rejects.toMatchObject({ reason: 'StorageDenied' });
    expect(await readdir(join(root, 'outside'))).toEqual([]);
    await storage.delete('a/b', go);
    await storage.delete('a/b/object', go);
    expect(await keys()).toEqual(['a/big 1000003']);
  });

  test.each([0, 4])('tell the size of a new file when it is closed and looked at %i times', async (looks) => {
    storage = openSftp({ ...options, connectTimeoutMs: 1_000_000 }, { ...tools, clock: hasty });
    be({ knowsSizeAfter: looks });
    expect(await storage.put('a/object', patternBody(300_000), {}, go)).toMatchObject({ bytes: 300_000 });
    expect(await storage.stat('a/object', go)).toMatchObject({ bytes: 300_000 });
  });

  test('that never tell it are StoredBytesDiffer, and nothing is left', async () => {
    storage = openSftp({ ...options, connectTimeoutMs: 1_000_000 }, { ...tools, clock: hasty });
    be({ knowsSizeAfter: 1_000 });
    await expect(storage.put('a/object', patternBody(300_000), {}, go)).rejects.toMatchObject({
      reason: 'StoredBytesDiffer',
      message: expect.stringContaining('300000 bytes sent, 0 bytes held') as string,
    });
    expect(await readdir(root)).toEqual([]);
  });
});

describe('a bare failure', () => {
  test.each(['write', 'fsync', 'close', 'open', 'mkdir'])(
    'of %s is StorageFull where the file system is full',
    async (at) => {
      be({ offers: all, freeBytes: 4096 });
      follow((what, index) =>
        what === at && (at !== 'fsync' || index > 0) ? { code: 4, message: 'Failure' } : undefined,
      );
      await expect(storage.put('a/object', patternBody(300_000), {}, go)).rejects.toMatchObject({
        reason: 'StorageFull',
        message: expect.stringContaining('4096 bytes are free') as string,
      });
    },
  );

  test('is StorageFailed where it is not', async () => {
    be({ offers: all, freeBytes: 1 << 30 });
    follow((what) => (what === 'write' ? { code: 4, message: 'Failure' } : undefined));
    await expect(put('a/object', 'x')).rejects.toMatchObject({ reason: 'StorageFailed' });
    expect(await readdir(root)).toEqual([]);
  });
});

describe('a key', () => {
  test('below a file is refused with the name of the file', async () => {
    await put('a', 'x');
    for (const key of ['a/object', 'a/b/c/object']) {
      await expect(put(key, 'x')).rejects.toMatchObject({
        reason: 'StorageConfigInvalid',
        message: expect.stringContaining(`${root}/a is a file`) as string,
      });
      expect(await storage.stat(key, go)).toBeUndefined();
      await storage.delete(key, go);
    }
    expect(await keys('a/')).toEqual([]);
    expect(await text('a')).toBe('x');
  });

  test.each([[[]], [all]])(
    'that is a folder (with the extensions %o) is refused, and what is in it stays',
    async (offers) => {
      be({ offers });
      await put('a/b/object', 'x');
      for (const onlyIfAbsent of [true, false]) await expect(put('a', 'y', onlyIfAbsent)).rejects.toThrow('a');
      await expect(put('a', 'y')).rejects.toMatchObject({ reason: 'StorageConfigInvalid' });
      expect(await keys()).toEqual(['a/b/object 1']);
      expect(await readdir(root)).toEqual(['a']);
    },
  );

  test('behind a symbolic link that leads out is neither written, read, listed nor deleted', async () => {
    const outside = join(folder.path, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'secret'), 'of somebody else');
    await symlink(outside, join(root, 'link'));
    await symlink(join(outside, 'secret'), join(root, 'file'));
    await expect(put('link/object', 'x')).rejects.toMatchObject({ reason: 'StorageDenied' });
    for (const key of ['link/secret', 'file']) {
      await expect(text(key)).rejects.toMatchObject({
        reason: 'StorageDenied',
        message: expect.stringContaining('symbolic link') as string,
      });
      await expect(storage.stat(key, go)).rejects.toMatchObject({ reason: 'StorageDenied' });
      await expect(storage.delete(key, go)).rejects.toMatchObject({ reason: 'StorageDenied' });
    }
    expect(await keys()).toEqual([]);
    expect(await keys('link/')).toEqual([]);
    expect(await keys('../')).toEqual([]);
    expect(await readdir(outside)).toEqual(['secret']);
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('of somebody else');
    expect((await readdir(root)).sort()).toEqual(['file', 'link']);
  });
});

describe('a listing', () => {
  test('fails at a folder that may not be read, but for who can do without it', async () => {
    for (const key of ['lost+found/x', 'ours/a/x', 'ours/closed/x']) await put(key, 'x');
    await chmod(join(root, 'lost+found'), 0);
    follow((what, _, path) =>
      what === 'opendir' && /lost\+found|closed/.test(path) ? { code: 3, message: 'Permission denied' } : undefined,
    );
    const told: string[] = [];
    const denied = { reason: 'StorageDenied' };
    await expect(keys()).rejects.toMatchObject(denied);
    expect(await keys('', (one) => told.push(one))).toEqual(['ours/a/x 1']);
    expect(told).toEqual(['lost+found/', 'ours/closed/']);
    await expect(keys('ours/')).rejects.toMatchObject(denied);
    await expect(keys('ours/closed/', (one) => told.push(one))).rejects.toMatchObject(denied);
    // What lies beside the folder that is asked for is not looked at.
    follow((what, _, path) =>
      what === 'opendir' && /lost\+found|root$/.test(path) ? { code: 3, message: 'Permission denied' } : undefined,
    );
    expect(await keys('ours/')).toEqual(['ours/a/x 1', 'ours/closed/x 1']);
  });

  const page = (number: number, size: number) =>
    Array.from({ length: size }, (_, index) => `f${number * size + index}`);
  test.each<[string, (number: number) => readonly string[] | undefined, string]>([
    ['goes on for ever', (number) => page(number, 2_000), 'StorageConfigInvalid'],
    ['goes round', () => page(0, 10), 'StorageFailed'],
    ['has empty pages only', () => [], 'StorageFailed'],
    ['has names that lead away', (number) => (number === 0 ? ['../../secret'] : undefined), 'StorageFailed'],
  ])('that %s ends with a failure', async (_, pages, reason) => {
    be({ pages });
    await expect(keys()).rejects.toMatchObject({ reason });
    expect(asked.at(-1)).toBe('close');
  });
});

describe('a server that does not answer', () => {
  test.each([
    ['init', 'starting the SFTP subsystem'],
    ['realpath', 'looking at'],
    ['stat', 'looking at'],
  ])('at %s is StorageUnreachable within the connect timeout, and it is said where', async (at, where) => {
    storage = openSftp({ ...options, connectTimeoutMs: 1_000 }, tools);
    follow((what) => (what === at ? 'silence' : undefined));
    await expect(put('object', 'x')).rejects.toMatchObject({
      reason: 'StorageUnreachable',
      message: expect.stringContaining(where) as string,
    });
    follow(() => undefined);
    await put('object', 'x');
  });

  test.each(['open', 'lstat', 'readdir', 'opendir', 'read', 'fstat', 'close', 'rename'])(
    'to %s is StorageUnreachable after a while, and it is said what was asked',
    async (at) => {
      await put('object', 'x');
      await storage.close();
      storage = openSftp({ ...options, silenceTimeoutMs: 200 }, tools);
      follow((what, index) => (what === at && index === 0 ? 'silence' : undefined));
      const all = async () => {
        await put('another', 'x');
        await text('object');
        await keys();
      };
      await expect(all()).rejects.toMatchObject({
        reason: 'StorageUnreachable',
        message: expect.stringContaining('asked to') as string,
      });
    },
  );

  test('one request, while others are answered, is given up, too', async () => {
    storage = openSftp({ ...options, silenceTimeoutMs: 100 }, tools);
    await storage.stat('object', go);
    follow((what, _, path) => (what === 'lstat' && path.endsWith('/lost') ? 'silence' : undefined));
    const over = new AbortController();
    const lost = storage.stat('lost', go).finally(() => over.abort());
    lost.catch(() => undefined);
    while (!over.signal.aborted) await storage.stat('object', go).catch(() => undefined);
    await expect(lost).rejects.toMatchObject({ reason: 'StorageUnreachable' });
  });
});
