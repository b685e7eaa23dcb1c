import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { connect, createServer, type Server as TcpServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { connectClient } from '../../src/postgres/connection.ts';
import { libpqEnvironment } from '../../src/postgres/libpq-environment.ts';
import { logIn } from '../../src/postgres/log-in.ts';
import type { Server } from '../../src/postgres/server.ts';
import { rejection } from '../pipeline/streams.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { temporaryPostgres, type TemporaryPostgres } from './temporary-postgres.ts';

const run = promisify(execFile);
const go = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const password = 'a word that nobody hears';

describe.skipIf(binDirs.length === 0).each(binDirs)('a server without TLS (%s)', (binDir) => {
  let stand: TemporaryPostgres;
  /** Between us and the server; keeps what we sent. */
  let wire: TcpServer;
  let sent: Buffer[] = [];
  let server: Server;

  beforeAll(async () => {
    stand = await temporaryPostgres({ binDir });
    const { host, port } = stand.postgres;
    wire = createServer((client) => {
      const upstream = connect(port, host);
      client.on('data', (chunk) => void sent.push(Buffer.from(chunk)));
      client.on('error', () => upstream.destroy());
      upstream.on('error', () => client.destroy());
      client.pipe(upstream).pipe(client);
    });
    await new Promise<void>((resolve) => wire.listen(0, '127.0.0.1', resolve));
    const address = wire.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    server = {
      host: '127.0.0.1',
      port: address.port,
      user: 'app',
      password,
      tls: { mode: 'disable' },
      database: 'postgres',
    };
  });
  afterAll(async () => {
    wire.close();
    await stand.remove();
  });
  beforeEach(() => {
    sent = [];
  });

  async function ask(method: string): Promise<void> {
    await stand.postgres.sql(
      `SET password_encryption = '${method === 'md5' ? 'md5' : 'scram-sha-256'}'; DROP ROLE IF EXISTS app; CREATE ROLE app LOGIN PASSWORD '${password}'`,
    );
    const [row] = await stand.postgres.sql<{ hba_file: string }>('SHOW hba_file');
    await writeFile(
      row?.hba_file ?? '',
      `host all app all ${method}\nhost all all all scram-sha-256\nlocal all all scram-sha-256\n`,
    );
    await stand.postgres.sql('SELECT pg_reload_conf()');
  }
  const wasSent = (): boolean => Buffer.concat(sent).includes(password);
  const open = async (as: Server) => {
    const connection = await connectClient(as, 'postgres', { timeoutMs: 30_000 }, go);
    await connection.close();
  };
  const dump = async (as: Server) => {
    const environment = await libpqEnvironment(as, join(await stand.folder(), 'libpq'));
    await run(join(binDir, 'pg_dump'), ['--schema-only', 'dbname=postgres'], { env: environment });
  };
  const listener = { isKept: () => false, onMessage: () => undefined, onBreak: () => undefined };

  test.each(['scram-sha-256', 'md5'])(
    'that asks for %s is answered, in words that nobody can repeat',
    async (method) => {
      await ask(method);
      await open(server);
      await dump(server);
      const { stream } = await logIn(server, 'postgres', listener, go);
      stream.destroy();
      expect(wasSent()).toBe(false);
    },
  );

  test('that asks for the password itself gets none', async () => {
    await ask('password');
    const refused = {
      reason: 'AuthenticationFailed',
      message: expect.stringContaining('clear text') as string,
      hint: expect.stringContaining('allowCleartextPassword') as string,
    };
    expect(await rejection(open(server))).toMatchObject(refused);
    expect(await rejection(logIn(server, 'postgres', listener, go))).toMatchObject(refused);
    expect(wasSent()).toBe(false);
    // Programs of 15 know no such limit: what keeps them from it is that each run logs in by itself before.
    if (stand.postgres.major < 16) return;
    expect(await rejection(dump(server))).toMatchObject({
      stderr: expect.stringContaining('server requested a cleartext password') as string,
    });
    expect(wasSent()).toBe(false);
  });

  test('gets it where that is allowed', async () => {
    await ask('password');
    const allowed: Server = { ...server, tls: { mode: 'disable', allowCleartextPassword: true } };
    await open(allowed);
    await dump(allowed);
    const { stream } = await logIn(allowed, 'postgres', listener, go);
    stream.destroy();
    expect(wasSent()).toBe(true);
  });
});
