import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';

/**
 * Listens on a socket that belongs to the folder, until the returned function is called or this process ends, however it ends.
 * On Linux it needs no file, and is seen in this network namespace only. @returns undefined when somebody else listens
 */
export async function listenAlone(folder: string, platform: string): Promise<(() => Promise<void>) | undefined> {
  const name = createHash('sha256').update(folder).digest('hex').slice(0, 32);
  // A name in Linux's abstract space vanishes with its process; elsewhere a file stays, and an answer tells whether it lives.
  const address = platform === 'linux' ? `\0pgbackup-local-${name}` : join(folder, 'lock');
  if (platform !== 'linux' && !(await answers(address))) await rm(address, { force: true });
  const server = createServer((socket) => socket.destroy());
  try {
    await listen(server, address);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined;
    throw error;
  }
  server.unref();
  return async () => new Promise((resolve) => server.close(() => resolve()));
}

/**
 * Names the machine, since it started, and the network namespace: whoever has the same name would be seen by `listenAlone`.
 * @returns undefined where that is not known
 */
export function nameSocketSpace(platform: string): string | undefined {
  if (platform !== 'linux') return undefined;
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot} ${readlinkSync('/proc/self/ns/net')}`;
  } catch {
    return undefined;
  }
}

async function listen(server: Server, address: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address, () => resolve());
  });
}

async function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
