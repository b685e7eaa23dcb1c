import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startFauxqs } from 'fauxqs';
import type { Certificate } from './certificates.ts';
import { startProgram } from './program.ts';

const run = promisify(execFile);

export interface S3Server {
  /** `versitygw` checks signatures, checksums and conditions; `fauxqs` does not. */
  readonly kind: 'versitygw' | 'fauxqs';
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  createBucket(name: string): Promise<void>;
  /** With `full`: a user with no rights but those that the policies of buckets give. */
  addUser(user: { readonly accessKeyId: string; readonly secretAccessKey: string }): Promise<void>;
  stop(): Promise<void>;
}

export interface S3ServerOptions {
  /** An empty folder for the server's files. */
  readonly dir: string;
  /** Path of versitygw; without it fauxqs (npm) is started, which has no TLS. */
  readonly versitygw?: string | undefined;
  readonly port?: number;
  readonly tls?: Certificate;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  /** An address of this machine that others reach it at: it listens on all of them then. Default 127.0.0.1. */
  readonly address?: string;
  /** Buckets can keep versions, and users can be added: versitygw only. */
  readonly full?: boolean;
}

/** An S3 server on 127.0.0.1, or on all addresses. */
export async function startS3(options: S3ServerOptions): Promise<S3Server> {
  const accessKeyId = options.accessKeyId ?? 'test-key';
  const secretAccessKey = options.secretAccessKey ?? 'test-secret';
  const keys = { accessKeyId, secretAccessKey };
  const { dir, versitygw, tls, address = '127.0.0.1' } = options;
  const listen = options.address === undefined ? '127.0.0.1' : '0.0.0.0';
  await mkdir(dir, { recursive: true });
  if (versitygw === undefined) {
    if (tls !== undefined) throw new Error('fauxqs has no TLS');
    const server = await startFauxqs({
      port: options.port ?? 0,
      host: listen,
      logger: false,
      dataDir: dir,
      s3StorageDir: join(dir, 'objects'),
    });
    return {
      kind: 'fauxqs',
      endpoint: `http://${address}:${server.port}`,
      ...keys,
      createBucket: async (name) => void server.createBucket(name),
      addUser: () => Promise.reject(new Error('fauxqs has no users')),
      stop: () => server.stop(),
    };
  }
  // Beside the folder that is served: what lies in that one is a bucket.
  const [versions, users] = [`${dir}-versions`, `${dir}-users`];
  if (options.full === true) for (const folder of [versions, users]) await mkdir(folder, { recursive: true });
  const program = await startProgram({
    command: versitygw,
    args: (port) =>
      [
        ['--access', accessKeyId, '--secret', secretAccessKey, '--port', `${listen}:${port}`, '--quiet'],
        tls === undefined ? [] : ['--cert', tls.certFile, '--key', tls.keyFile],
        options.full === true ? ['--iam-dir', users, 'posix', '--versioning-dir', versions, dir] : ['posix', dir],
      ].flat(),
    env: { PATH: '/usr/bin:/bin' },
    ...(options.port === undefined ? {} : { port: options.port }),
  });
  const endpoint = `${tls === undefined ? 'http' : 'https'}://${address}:${program.port}`;
  return {
    kind: 'versitygw',
    endpoint,
    ...keys,
    createBucket: (name) => mkdir(join(dir, name)),
    addUser: async (user) => {
      const who = ['--access', user.accessKeyId, '--secret', user.secretAccessKey, '--role', 'user'];
      const whose = ['--access', accessKeyId, '--secret', secretAccessKey, '--endpoint-url', endpoint];
      await run(versitygw, ['admin', ...whose, 'create-user', ...who]);
    },
    stop: () => program.stop(),
  };
}
