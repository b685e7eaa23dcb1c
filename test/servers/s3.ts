import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { startFauxqs } from 'fauxqs';
import type { Certificate } from './certificates.ts';
import { startProgram } from './program.ts';

export interface S3Server {
  /** `versitygw` checks signatures, checksums and conditions; `fauxqs` does not. */
  readonly kind: 'versitygw' | 'fauxqs';
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  createBucket(name: string): Promise<void>;
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
      stop: () => server.stop(),
    };
  }
  const program = await startProgram({
    command: versitygw,
    args: (port) =>
      [
        ['--access', accessKeyId, '--secret', secretAccessKey, '--port', `${listen}:${port}`, '--quiet'],
        tls === undefined ? [] : ['--cert', tls.certFile, '--key', tls.keyFile],
        ['posix', dir],
      ].flat(),
    env: { PATH: '/usr/bin:/bin' },
    ...(options.port === undefined ? {} : { port: options.port }),
  });
  return {
    kind: 'versitygw',
    endpoint: `${tls === undefined ? 'http' : 'https'}://${address}:${program.port}`,
    ...keys,
    createBucket: (name) => mkdir(join(dir, name)),
    stop: () => program.stop(),
  };
}
