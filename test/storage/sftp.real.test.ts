import { execFile } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fingerprintOf } from '../../src/storage/host-keys.ts';
import { openSftp } from '../../src/storage/sftp.ts';
import type { SftpOptions } from '../../src/storage/sftp-options.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { findProgram } from '../servers/programs.ts';
import { type Sshd, startSshd } from '../servers/sshd.ts';
import { listTree, makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { patternBody, readAll, readText, textBody } from '../suites/bodies.ts';
import { storageConformance } from '../suites/storage-conformance.ts';

const run = promisify(execFile);
const tools = { clock: systemClock, random: systemRandom };
const go = new AbortController().signal;
const hasSshd = findProgram('sshd') !== undefined;

function optionsFor({ host, port, username, privateKey, hostKeys }: Sshd, path: string): SftpOptions {
  return { host, port, username, privateKey, hostKeys, path };
}

async function strangersKey(dir: string): Promise<string> {
  const file = join(dir, 'stranger');
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'a phrase', '-f', file]);
  return file;
}

describe.skipIf(!hasSshd)('over SSH', () => {
  storageConformance('OpenSSH', async () => {
    const folder = await makeTemporaryFolder();
    const root = join(folder.path, 'root');
    await mkdir(root);
    const sshd = await startSshd({ dir: join(folder.path, 'sshd') });
    const { readFile } = await import('node:fs/promises');
    const stranger = await readFile(await strangersKey(folder.path), 'utf8');
    const options = optionsFor(sshd, root);
    return {
      open: () => openSftp(options, tools),
      openMissing: () => openSftp({ ...options, path: join(folder.path, 'absent') }, tools),
      openRefused: () => openSftp({ ...options, privateKey: stranger, passphrase: 'a phrase' }, tools),
      lookFromOutside: async () => {
        const all = await listTree(root);
        return all.filter(
          (path) => !path.endsWith('/') || !all.some((other) => other !== path && other.startsWith(path)),
        );
      },
      stop: async () => {
        await sshd.stop();
        await folder.remove();
      },
    };
  });

  describe('the host key of a server', () => {
    let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
    let sshd: Sshd;
    let options: SftpOptions;

    beforeAll(async () => {
      folder = await makeTemporaryFolder();
      sshd = await startSshd({ dir: join(folder.path, 'sshd'), hostKeyKinds: ['ed25519', 'ecdsa', 'rsa'] });
      options = optionsFor(sshd, folder.path);
    });
    afterAll(async () => {
      await sshd.stop();
      await folder.remove();
    });

    const blobOf = (line: string): Buffer => Buffer.from(line.split(' ')[2] ?? '', 'base64');

    test.each([0, 1, 2])(
      'is accepted when one of several types is pinned (%i), as a line, a key or a fingerprint',
      async (at) => {
        const line = sshd.hostKeys[at] ?? '';
        const otherPin = `SHA256:${'A'.repeat(43)}`;
        const pins = [[line], [line.split(' ').slice(1).join(' ')], [fingerprintOf(blobOf(line))], [otherPin, line]];
        for (const hostKeys of pins) {
          const storage = openSftp({ ...options, hostKeys }, tools);
          expect(await storage.stat('absent', go)).toBeUndefined();
          await storage.close();
        }
      },
    );

    test('is refused when it is not pinned, and the failure names it', async () => {
      const strangerFile = await strangersKey(folder.path);
      const { readFile } = await import('node:fs/promises');
      const stranger = (await readFile(`${strangerFile}.pub`, 'utf8')).trim();
      const shown = fingerprintOf(blobOf(sshd.hostKeys[0] ?? ''));
      for (const hostKeys of [[stranger], [`SHA256:${'A'.repeat(43)}`]]) {
        const storage = openSftp({ ...options, hostKeys }, tools);
        const refused = { reason: 'HostKeyMismatch', message: expect.stringContaining(shown) as string };
        await expect(storage.stat('absent', go)).rejects.toMatchObject(refused);
        await expect(storage.put('a', textBody('x'), {}, go)).rejects.toMatchObject(refused);
        await storage.close();
      }
    });

    test('of a type that the server does not have names what it has', async () => {
      const only = await startSshd({ dir: join(folder.path, 'only'), hostKeyKinds: ['rsa'] });
      const storage = openSftp({ ...optionsFor(only, folder.path), hostKeys: [sshd.hostKeys[0] ?? ''] }, tools);
      const shown = fingerprintOf(blobOf(only.hostKeys[0] ?? ''));
      await expect(storage.stat('absent', go)).rejects.toMatchObject({
        reason: 'HostKeyMismatch',
        message: expect.stringContaining(shown) as string,
      });
      await storage.close();
      await only.stop();
    });
  });

  test('a private key that cannot be read is SecretInvalid', async () => {
    const folder = await makeTemporaryFolder();
    const { readFile } = await import('node:fs/promises');
    const privateKey = await readFile(await strangersKey(folder.path), 'utf8');
    const place = { host: '127.0.0.1', path: '/', username: 'u', hostKeys: [`SHA256:${'A'.repeat(43)}`] };
    for (const key of [{ privateKey: 'nonsense' }, { privateKey }, { privateKey, passphrase: 'wrong' }]) {
      expect(() => openSftp({ ...place, ...key }, tools)).toThrow(expect.objectContaining({ reason: 'SecretInvalid' }));
    }
    await folder.remove();
  });

  test('a lost connection fails what was going on, leaves no file, and the next operation connects again', async () => {
    const folder = await makeTemporaryFolder();
    const root = join(folder.path, 'root');
    await mkdir(root);
    const sshd = await startSshd({ dir: join(folder.path, 'sshd') });
    const storage = openSftp(optionsFor(sshd, root), tools);
    await storage.put('a/older', textBody('untouched'), {}, go);
    async function* cut() {
      yield* patternBody(5_000_000);
      await killSessions(sshd.pid);
      yield* patternBody(5_000_000);
    }
    await expect(storage.put('a/older', cut(), {}, go)).rejects.toMatchObject({ reason: 'StorageUnreachable' });
    expect(await listTree(root)).toEqual([join(root, 'a/'), join(root, 'a/older')]);
    expect(await readText(storage.get('a/older', undefined, go))).toBe('untouched');

    await storage.put('big', patternBody(20_000_000), {}, go);
    const reading = (async () => {
      let first = true;
      for await (const _ of storage.get('big', undefined, go)) {
        if (first) await killSessions(sshd.pid);
        first = false;
      }
    })();
    await expect(reading).rejects.toMatchObject({ reason: 'StorageUnreachable' });
    expect((await storage.stat('big', go))?.bytes).toBe(20_000_000);

    await killSessions(sshd.pid);
    await sshd.stop();
    await expect(storage.stat('big', go)).rejects.toMatchObject({ reason: 'StorageUnreachable' });
    await storage.close();
    await folder.remove();
  });

  test('a server that may only be read is StorageDenied', async () => {
    const folder = await makeTemporaryFolder();
    const root = join(folder.path, 'root');
    await mkdir(root);
    await writeFile(join(root, 'older'), 'x');
    await chmod(root, 0o755);
    const sshd = await startSshd({ dir: join(folder.path, 'sshd'), sftpServer: 'internal-sftp -R' });
    const storage = openSftp(optionsFor(sshd, root), tools);
    const denied = { reason: 'StorageDenied' };
    await expect(storage.put('a/new', textBody('x'), {}, go)).rejects.toMatchObject(denied);
    await expect(storage.delete('older', go)).rejects.toMatchObject(denied);
    expect(await readText(storage.get('older', undefined, go))).toBe('x');
    expect(await readAll(storage.get('older', { start: 1 }, go))).toHaveLength(0);
    await storage.close();
    await sshd.stop();
    await folder.remove();
  });
});

/** Ends the processes that serve connections, and not the listening server. */
async function killSessions(pid: number): Promise<void> {
  const { stdout } = await run('ps', ['-eo', 'pid=,ppid=']);
  for (const line of stdout.trim().split('\n')) {
    const [child, parent] = line.trim().split(/\s+/).map(Number);
    if (parent === pid && child !== undefined) process.kill(child, 'SIGKILL');
  }
}
