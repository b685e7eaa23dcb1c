import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Failure } from '../../src/api/failure.ts';
import { connectClient } from '../../src/postgres/connection.ts';
import { dumpDatabase } from '../../src/postgres/dump.ts';
import type { Server, ServerTls } from '../../src/postgres/server.ts';
import { waitForServer } from '../../src/postgres/wait-for-server.ts';
import { systemClock } from '../../src/support/clock.ts';
import { collect, rejection } from '../pipeline/streams.ts';
import { makeAuthority, type Authority } from '../servers/certificates.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { temporaryPostgres, type TemporaryPostgres } from './temporary-postgres.ts';

const never = new AbortController().signal;
const [binDir = ''] = await listBinDirs(process.env['POSTGRES_BINDIRS']);

/** What comes of reaching `server` by `pg`, and by pg_dump: both must say the same. */
async function reach(at: TemporaryPostgres, server: Server): Promise<readonly string[]> {
  const byClient = await connectClient(server, 'postgres', { timeoutMs: 10_000 }, never)
    .then(async (connection) => {
      await connection.query('SELECT 1');
      await connection.close();
      return 'ok';
    })
    .catch((error: unknown) => (error as Failure).reason);
  const byProgram = await collect(
    dumpDatabase(await at.tools(server), 'postgres', { lockTimeoutSeconds: 10, encoding: 'UTF8' }, never).bytes,
  ).then(
    () => 'ok',
    (error: unknown) => (error as Failure).reason,
  );
  return [byClient, byProgram];
}
const both = (outcome: string) => [outcome, outcome];

describe.skipIf(binDir === '')('TLS', () => {
  let root = '';
  let authority: Authority;
  let other: Authority;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'pgb-ca-'));
    authority = await makeAuthority(join(root, 'right'));
    other = await makeAuthority(join(root, 'other'), 'another authority');
  });
  afterAll(() => rm(root, { recursive: true }));

  const withServer = async (
    certificate: { readonly host: string; readonly expired?: boolean } | undefined,
    work: (
      at: TemporaryPostgres,
      as: (tls: ServerTls, more?: Partial<Server>) => Promise<readonly string[]>,
    ) => Promise<void>,
  ) => {
    const tls = certificate === undefined ? {} : { tls: await authority.issue(certificate) };
    const at = await temporaryPostgres({ binDir, ...tls });
    try {
      await work(at, (tls, more = {}) => reach(at, { ...at.server, ...more, tls }));
    } finally {
      await at.remove();
    }
  };

  test('a server with the right certificate is reached in every mode', async () => {
    await withServer({ host: 'localhost' }, async (_at, as) => {
      const { ca } = authority;
      expect(await as({ mode: 'verify-full', ca }, { host: 'localhost' })).toEqual(both('ok'));
      expect(await as({ mode: 'verify-ca', ca })).toEqual(both('ok'));
      expect(await as({ mode: 'require' })).toEqual(both('ok'));
      expect(await as({ mode: 'disable' })).toEqual(both('ok'));
      expect(await as({ mode: 'verify-full', ca: other.ca + ca }, { host: 'localhost' })).toEqual(both('ok'));
    });
  });

  test('another name, another authority and no authority are refused', async () => {
    await withServer({ host: 'localhost' }, async (_at, as) => {
      const { ca } = authority;
      expect(await as({ mode: 'verify-full', ca }, { host: '127.0.0.1' })).toEqual(both('TlsFailed'));
      expect(await as({ mode: 'verify-full', ca: other.ca }, { host: 'localhost' })).toEqual(both('TlsFailed'));
      expect(await as({ mode: 'verify-ca', ca: other.ca }, { host: 'localhost' })).toEqual(both('TlsFailed'));
      expect(await as({ mode: 'verify-full' }, { host: 'localhost' })).toEqual(both('TlsFailed'));
      expect(await as({ mode: 'verify-ca', ca: 'nonsense' }, { host: 'localhost' })).toEqual(both('TlsFailed'));
    });
  });

  test('a certificate for an address counts for that address', async () => {
    await withServer({ host: '127.0.0.1' }, async (_at, as) => {
      expect(await as({ mode: 'verify-full', ca: authority.ca }, { host: '127.0.0.1' })).toEqual(both('ok'));
      expect(await as({ mode: 'verify-full', ca: authority.ca }, { host: 'localhost' })).toEqual(both('TlsFailed'));
    });
  });

  test('an expired certificate is refused, unless nobody asked', async () => {
    await withServer({ host: 'localhost', expired: true }, async (_at, as) => {
      expect(await as({ mode: 'verify-full', ca: authority.ca }, { host: 'localhost' })).toEqual(both('TlsFailed'));
      expect(await as({ mode: 'verify-ca', ca: authority.ca }, { host: 'localhost' })).toEqual(both('TlsFailed'));
      expect(await as({ mode: 'require' }, { host: 'localhost' })).toEqual(both('ok'));
    });
  });

  test('a server without TLS is refused by every mode but disable; a socket needs none', async () => {
    await withServer(undefined, async (at, as) => {
      for (const mode of ['require', 'verify-ca', 'verify-full'] as const) {
        expect(await as({ mode, ca: authority.ca }, { host: 'localhost' })).toEqual(both('TlsFailed'));
      }
      expect(await as({ mode: 'disable' })).toEqual(both('ok'));
      expect(await as({ mode: 'verify-full' }, { host: at.postgres.socketDir })).toEqual(both('ok'));
    });
  });
});

describe.skipIf(binDir === '')('connecting', () => {
  let at: TemporaryPostgres;
  beforeAll(async () => {
    at = await temporaryPostgres({ binDir });
  });
  afterAll(() => at?.remove());
  const connect = (server: Server, database = 'postgres', signal = never) =>
    connectClient(server, database, { timeoutMs: 3000 }, signal);

  test('refusals are told by name, without the password', async () => {
    const cases = [
      [{ ...at.server, password: 'TOPSECRET' }, 'postgres', 'AuthenticationFailed'],
      [{ ...at.server, user: 'nobody', password: 'TOPSECRET' }, 'postgres', 'AuthenticationFailed'],
      [at.server, 'vanished', 'DatabaseMissing'],
      [{ ...at.server, port: 1 }, 'postgres', 'ServerUnreachable'],
      [{ ...at.server, host: 'no.such.host.invalid' }, 'postgres', 'ServerUnreachable'],
      [{ ...at.server, host: '/nowhere' }, 'postgres', 'ServerUnreachable'],
    ] as const;
    for (const [server, database, reason] of cases) {
      const failure = (await rejection(connect(server, database))) as Failure;
      expect(failure.reason).toBe(reason);
      expect(failure.message).not.toContain('TOPSECRET');
    }
    const { password: _password, ...without } = at.server;
    expect(await rejection(connect(without))).toMatchObject({ reason: 'AuthenticationFailed' });
  });

  test('a role that may not enter the database is PermissionDenied', async () => {
    await at.postgres.sql(`CREATE ROLE guest LOGIN PASSWORD 'g'`);
    await at.postgres.sql('CREATE DATABASE private');
    await at.postgres.sql('REVOKE CONNECT ON DATABASE private FROM PUBLIC');
    const guest = { ...at.server, user: 'guest', password: 'g' };
    expect(await rejection(connect(guest, 'private'))).toMatchObject({ reason: 'PermissionDenied' });
  });

  test('a connection that is ended says ConnectionLost, at once or at the next statement', async () => {
    const kill = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgbackup'`;
    const busy = await connect(at.server);
    const sleeping = rejection(busy.query('SELECT pg_sleep(60)'));
    while ((await at.postgres.sql(`SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'`)).length === 0);
    await at.postgres.sql(kill);
    expect(await sleeping).toMatchObject({ reason: 'ConnectionLost' });
    await busy.close();

    const idle = await connect(at.server);
    await at.postgres.sql(kill);
    expect(await rejection(idle.query('SELECT 1'))).toMatchObject({ reason: 'ConnectionLost' });
    await idle.close();
  });

  test('an abort ends a statement that hangs', async () => {
    const controller = new AbortController();
    const connection = await connect(at.server, 'postgres', controller.signal);
    const sleeping = rejection(connection.query('SELECT pg_sleep(60)'));
    controller.abort();
    expect(await sleeping).toMatchObject({ reason: 'Aborted' });
    await connection.close();
  });

  test('a server that accepts and says nothing is ServerUnreachable, or Aborted', async () => {
    const controller = new AbortController();
    const sockets: Socket[] = [];
    const silent = createServer((socket) => {
      sockets.push(socket);
      if (sockets.length === 2) controller.abort();
    });
    await new Promise<void>((resolve) => {
      silent.listen(0, '127.0.0.1', resolve);
    });
    const server = { ...at.server, port: (silent.address() as AddressInfo).port };
    const attempt = connectClient(server, 'postgres', { timeoutMs: 200 }, never);
    expect(await rejection(attempt)).toMatchObject({ reason: 'ServerUnreachable' });
    const aborting = connectClient(server, 'postgres', { timeoutMs: 60_000 }, controller.signal);
    expect(await rejection(aborting)).toMatchObject({ reason: 'Aborted' });
    for (const socket of sockets) socket.destroy();
    silent.close();
  });

  test('what the owner of a database put on the search_path is not called', async () => {
    await at.postgres.sql('CREATE DATABASE trap');
    await at.postgres.sql(
      `CREATE SCHEMA evil;
       CREATE FUNCTION evil.current_database() RETURNS name LANGUAGE sql AS $$ SELECT 'caught'::name $$;
       ALTER DATABASE trap SET search_path = evil, pg_catalog`,
      'trap',
    );
    expect(await at.postgres.sql('SELECT current_database() AS name', 'trap')).toEqual([{ name: 'caught' }]);
    const connection = await connect(at.server, 'trap');
    expect(await connection.query('SELECT current_database() AS name')).toEqual([{ name: 'trap' }]);
    await connection.close();
  });

  test('waiting can be aborted in a pause', async () => {
    const controller = new AbortController();
    const options = { budgetMs: 60_000, clock: systemClock, onWaiting: () => controller.abort() };
    const waiting = waitForServer({ ...at.server, port: 1 }, options, controller.signal);
    expect(await rejection(waiting)).toMatchObject({ reason: 'Aborted' });
  });

  test('waiting ends when the server is back', async () => {
    await at.postgres.stop();
    const waits: Failure[] = [];
    let started: Promise<void> | undefined;
    await waitForServer(
      at.server,
      {
        budgetMs: 60_000,
        clock: systemClock,
        onWaiting: (failure) => {
          waits.push(failure);
          started ??= at.postgres.start();
        },
      },
      never,
    );
    await started;
    expect(waits.length).toBeGreaterThan(0);
    expect(new Set(waits.map(({ reason }) => reason))).toEqual(new Set(['ServerUnreachable']));
  });

  test('waiting ends with the budget, and does not begin for what time cannot heal', async () => {
    const waits: Failure[] = [];
    const options = { budgetMs: 1200, clock: systemClock, onWaiting: (failure: Failure) => void waits.push(failure) };
    expect(await rejection(waitForServer({ ...at.server, port: 1 }, options, never))).toMatchObject({
      reason: 'ServerUnreachable',
    });
    expect(waits.length).toBeGreaterThanOrEqual(2);
    waits.length = 0;
    for (const [server, reason] of [
      [{ ...at.server, password: 'wrong' }, 'AuthenticationFailed'],
      [{ ...at.server, database: 'vanished' }, 'DatabaseMissing'],
      [{ ...at.server, tls: { mode: 'require' } }, 'TlsFailed'],
    ] as const) {
      expect(await rejection(waitForServer(server, options, never))).toMatchObject({ reason });
    }
    expect(waits).toEqual([]);
  });
});
