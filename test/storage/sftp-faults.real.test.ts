import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fingerprintOf } from '../../src/storage/host-keys.ts';
import { readPrivateKey } from '../../src/storage/sftp-key.ts';
import { openSftp } from '../../src/storage/sftp.ts';
import type { SftpOptions } from '../../src/storage/sftp-options.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { type ScriptedSftp, startScriptedSftp } from '../servers/scripted-sftp.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { digest, patternBody, readText, textBody } from '../suites/bodies.ts';

const tools = { clock: systemClock, random: systemRandom };
const go = new AbortController().signal;
const user = { username: 'backup', password: 'a secret of the server' };

let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
let root: string;
let server: ScriptedSftp;
let options: SftpOptions;
let storage: Storage;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  root = join(folder.path, 'root');
  await mkdir(root);
  server = await startScriptedSftp({ dir: root, ...user, habits: { shortReads: true } });
  options = { host: '127.0.0.1', port: server.port, path: root, hostKeys: [server.hostKey], ...user };
  storage = openSftp(options, tools);
});
afterEach(async () => {
  await storage.close();
  await server.stop();
  await folder.remove();
});

const put = (text: string, onlyIfAbsent = false) => storage.put('object', textBody(text), { onlyIfAbsent }, go);

describe('a server without extensions', () => {
  test('keeps objects of any length, although it reads half of what it is asked for', async () => {
    await storage.put('a/b/big', patternBody(3_000_001), {}, go);
    expect(await digest(storage.get('a/b/big', undefined, go))).toBe(await digest(patternBody(3_000_001)));
    expect(await storage.stat('a/b/big', go)).toMatchObject({ bytes: 3_000_001 });
  });

  test('lists although its listings have no attributes', async () => {
    for (const key of ['b/c', 'a', 'b-c']) await storage.put(key, textBody('x'), {}, go);
    const listed: unknown[] = [];
    for await (const { key, bytes } of storage.list('', undefined, go)) listed.push([key, bytes]);
    expect(listed).toEqual([
      ['a', 1],
      ['b-c', 1],
      ['b/c', 1],
    ]);
  });

  test('replaces an object', async () => {
    await put('older');
    await put('newer');
    expect(await readText(storage.get('object', undefined, go))).toBe('newer');
    expect(await readdir(root)).toEqual(['object']);
  });

  test('gets its older object back when the new one cannot take its place', async () => {
    await put('older');
    // First the plain rename (refused: the target exists), then the older one aside, then the new one.
    server.script = (what, index) => (what === 'rename' && index === 2 ? { code: 4, message: 'Failure' } : undefined);
    await expect(put('newer')).rejects.toMatchObject({ reason: 'StorageFailed' });
    expect(await readFile(join(root, 'object'), 'utf8')).toBe('older');
    expect(await readdir(root)).toEqual(['object']);
  });

  test('refuses what exists, and says that it only looked', async () => {
    await put('older');
    expect(storage.conditionalPut).toBe(false);
    await expect(put('newer', true)).rejects.toMatchObject({ reason: 'AlreadyStored' });
    expect(await readdir(root)).toEqual(['object']);
    expect(await readText(storage.get('object', undefined, go))).toBe('older');
  });
});

describe('a fault of the server', () => {
  test.each([
    [{ code: 4, message: 'Failure: No space left on device' }, 'StorageFull'],
    [{ code: 4, message: 'Disk quota exceeded' }, 'StorageFull'],
    [{ code: 4, message: 'Failure' }, 'StorageFailed'],
    [{ code: 3, message: 'Permission denied' }, 'StorageDenied'],
  ])('%o in the middle of writing is %s, and nothing is left', async (fault, reason) => {
    await put('older');
    server.script = (what, index) => (what === 'write' && index === 20 ? fault : undefined);
    await expect(storage.put('object', patternBody(3_000_000), {}, go)).rejects.toMatchObject({ reason });
    expect(await readdir(root)).toEqual(['object']);
    expect(await readFile(join(root, 'object'), 'utf8')).toBe('older');
  });

  test('is noticed although the body says nothing more', async () => {
    server.script = (what) => (what === 'write' ? { code: 4, message: 'Failure' } : undefined);
    async function* stalling() {
      yield* patternBody(1_000_000);
      await new Promise(() => undefined);
    }
    await expect(storage.put('object', stalling(), {}, go)).rejects.toMatchObject({ reason: 'StorageFailed' });
    expect(await readdir(root)).toEqual([]);
  });

  test('a disconnect before the rename is StorageUnreachable, and nothing is left', async () => {
    server.script = (what, index) => (what === 'rename' && index === 0 ? 'disconnect' : undefined);
    await expect(put('new')).rejects.toMatchObject({ reason: 'StorageUnreachable' });
    expect(await readdir(root)).toEqual([]);
    await put('again');
    expect(await readdir(root)).toEqual(['object']);
  });

  test('silence is StorageUnreachable after a while, also for what is waiting behind', async () => {
    await storage.close();
    storage = openSftp({ ...options, silenceTimeoutMs: 300 }, tools);
    server.script = (what, index) => (what === 'write' && index === 3 ? 'silence' : undefined);
    const outcomes = await Promise.allSettled([
      storage.put('a', patternBody(1_000_000), {}, go),
      storage.put('b', patternBody(1_000_000), {}, go),
    ]);
    expect(outcomes).toContainEqual({
      status: 'rejected',
      reason: expect.objectContaining({ reason: 'StorageUnreachable' }) as unknown,
    });
    expect((await readdir(root)).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});

describe('logging in', () => {
  test('with a wrong password is StorageCredentialsInvalid, without the password in it', async () => {
    const refused = openSftp({ ...options, password: 'another secret' }, tools);
    const failure: unknown = await refused.stat('a', go).catch((error: unknown) => error);
    expect(failure).toMatchObject({ reason: 'StorageCredentialsInvalid' });
    expect(String(failure)).not.toContain('another secret');
    await refused.close();
  });

  test('works where the password is only taken as an answer to a prompt', async () => {
    const prompting = await startScriptedSftp({ dir: root, ...user, onlyKeyboard: true });
    const asked = openSftp({ ...options, port: prompting.port, hostKeys: [prompting.hostKey] }, tools);
    await asked.put('object', textBody('x'), {}, go);
    expect(await readdir(root)).toEqual(['object']);
    await asked.close();
    await prompting.stop();
  });

  const keys = {
    ed25519: generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    rsa: generateKeyPairSync('rsa', { modulusLength: 2048 })
      .privateKey.export({ type: 'pkcs1', format: 'pem' })
      .toString(),
  };
  const publicHalf = (pem: string): Buffer => {
    const parsed = ssh2.utils.parseKey(readPrivateKey({ privateKey: pem }).privateKey);
    if (parsed instanceof Error) throw parsed;
    return parsed.getPublicSSH();
  };
  const chains = [
    ['publickey', 'password'],
    ['password', 'publickey'],
    ['publickey', 'keyboard-interactive'],
    ['keyboard-interactive', 'publickey'],
    ['password', 'keyboard-interactive'],
    ['publickey', 'password', 'keyboard-interactive'],
  ] as const;

  test.each(chains.flatMap((chain) => [[chain, 'ed25519'] as const, [chain, 'rsa'] as const]))(
    'works where %o are wanted one after the other, with a key of type %s',
    async (chain, type) => {
      const privateKey = keys[type];
      const strict = await startScriptedSftp({ dir: root, ...user, chain, publicKey: publicHalf(privateKey) });
      const asked = openSftp({ ...options, port: strict.port, hostKeys: [strict.hostKey], privateKey }, tools);
      await asked.put('object', textBody('x'), {}, go);
      expect(await readdir(root)).toEqual(['object']);
      await asked.close();
      await strict.stop();
    },
  );

  test.each([
    ['publickey', 'password', 'password into the Secret'],
    ['password', 'publickey', 'privateKey into the Secret'],
  ] as const)('says what is missing after the first step (%s)', async (has, lacks, hint) => {
    const privateKey = keys.ed25519;
    const chain = [has, lacks];
    const strict = await startScriptedSftp({ dir: root, ...user, chain, publicKey: publicHalf(privateKey) });
    const place = { host: '127.0.0.1', port: strict.port, path: root, hostKeys: [strict.hostKey] };
    const secret = has === 'password' ? { password: user.password } : { privateKey };
    const asked = openSftp({ ...place, username: user.username, ...secret }, tools);
    await expect(asked.stat('a', go)).rejects.toMatchObject({
      reason: 'StorageCredentialsInvalid',
      message: expect.stringContaining(`took ${has} and did not go on without ${lacks}`) as string,
      hint: expect.stringContaining(hint) as string,
    });
    await asked.close();
    await strict.stop();
  });

  test('with a key that the server does not know names the key to look for there', async () => {
    const strict = await startScriptedSftp({ dir: root, ...user, chain: ['publickey'], publicKey: Buffer.alloc(0) });
    const place = { ...options, port: strict.port, hostKeys: [strict.hostKey], privateKey: keys.ed25519 };
    const asked = openSftp(place, tools);
    await expect(asked.stat('a', go)).rejects.toMatchObject({
      reason: 'StorageCredentialsInvalid',
      hint: expect.stringContaining(fingerprintOf(publicHalf(keys.ed25519))) as string,
    });
    await asked.close();
    await strict.stop();
  });

  test('at a server that says nothing, or is none, ends in time', async () => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => sockets.add(socket.on('error', () => undefined)));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const address = silent.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const waiting = openSftp({ ...options, port, connectTimeoutMs: 200 }, tools);
    await expect(waiting.stat('a', go)).rejects.toMatchObject({ reason: 'StorageUnreachable' });
    const patient = openSftp({ ...options, port, connectTimeoutMs: 60_000 }, tools);
    const abort = new AbortController();
    const asked = patient.stat('a', abort.signal);
    abort.abort();
    await expect(asked).rejects.toMatchObject({ reason: 'Aborted' });
    // Closing ends the attempt that still goes on.
    await patient.close();
    await waiting.close();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => silent.close(resolve));
    const nobody = openSftp({ ...options, host: 'no-such-host.invalid' }, tools);
    await expect(nobody.stat('a', go)).rejects.toMatchObject({ reason: 'StorageUnreachable' });
  });
});
