import { createHash } from 'node:crypto';
import { realpath, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { Failure } from '../api/failure.ts';

/**
 * Keeps every other operator off a state folder until the returned function is called or this process ends, however it ends.
 * The lock is a socket that somebody listens on; on Linux it needs no file. @throws Failure NameTaken
 */
export async function lockState(folder: string, platform: string): Promise<() => Promise<void>> {
  const whole = await realpath(folder);
  const name = createHash('sha256').update(whole).digest('hex').slice(0, 32);
  // A name in Linux's abstract space vanishes with its process; elsewhere a file stays, and an answer tells whether it lives.
  const address = platform === 'linux' ? `\0pgbackup-local-${name}` : join(whole, 'lock');
  if (platform !== 'linux' && !(await answers(address))) await rm(address, { force: true });
  const server = createServer((socket) => socket.destroy());
  try {
    await listen(server, address);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new Failure('NameTaken', `another pgbackup local works in ${folder}`, {
      hint: 'stop it, or give this one a folder of its own with --state-dir',
      cause: error,
    });
  }
  server.unref();
  return async () => new Promise((resolve) => server.close(() => resolve()));
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
