import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectClient, type Connection } from '../../src/postgres/connection.ts';
import type { Server } from '../../src/postgres/server.ts';
import { claimLoad, plantFence, type AskLoad } from '../../src/postgres/load-claim.ts';
import { lockTargets } from '../../src/postgres/target-lock.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import type { Postgres } from '../servers/postgres.ts';
import { startPostgres, listBinDirs } from '../servers/postgres.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';

let server: Postgres;
let stop: () => Promise<void>;
beforeAll(async () => {
  const folder = await makeTemporaryFolder();
  await chmod(folder.path, 0o755);
  const [binDir = ''] = await listBinDirs(process.env['POSTGRES_BINDIRS']);
  server = await startPostgres({ binDir, dir: join(folder.path, 'pg') });
  stop = async () => {
    await server.stop();
    await folder.remove();
  };
  await server.sql('CREATE DATABASE shop');
  await server.sql('CREATE DATABASE looking');
});
afterAll(async () => stop?.());

const never = new AbortController().signal;
const connections: Connection[] = [];

async function tryToLock(
  at: { readonly host: string; readonly database: string },
  holder: string,
  waitMs = 0,
  name = 'shop',
): Promise<Connection> {
  const { port, user, password } = server;
  const as: Server = { ...at, port, user, password, tls: { mode: 'disable' } };
  const connection = await connectClient(as, at.database, { timeoutMs: 10_000 }, never);
  connections.push(connection);
  try {
    await lockTargets(connection, [name], { holder, waitMs, clock: systemClock, onWaiting: () => {} }, never);
    return connection;
  } catch (error) {
    await connection.close();
    throw error;
  }
}

const gone = async (): Promise<void> => {
  const end = Date.now() + 20_000;
  const left = `SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'pgbackup restore %'
    UNION ALL SELECT 1 FROM pg_locks WHERE locktype = 'advisory'`;
  while ((await server.sql(left)).length > 0) {
    if (Date.now() > end) throw new Error('a session or a lock stayed');
  }
};

describe('However two restores name the server and the database they sit in, one of them works at a time', () => {
  const hosts = ['address', 'name', 'socket'] as const;
  const databases = ['postgres', 'looking', 'shop'] as const;
  const ways = hosts.flatMap((host) => databases.map((database) => ({ host, database })));
  const reach = ({ host, database }: (typeof ways)[number]) => ({
    host: { address: '127.0.0.1', name: 'localhost', socket: server.socketDir }[host],
    database,
  });

  test.each(ways)('$host, $database: kept from all other ways', async (first) => {
    const held = await tryToLock(reach(first), 'pgbackup restore one');
    for (const [index, second] of ways.entries()) {
      // Each a request of its own: one would first wait until the session of the one before is gone.
      await expect(tryToLock(reach(second), `pgbackup restore two ${index}`)).rejects.toMatchObject({
        reason: 'TargetBusy',
        message: 'another restore works on the database "shop" (pgbackup restore one)',
      });
    }
    await held.close();
    await gone();
  });

  test('when many begin at the same moment, too: each gets its turn, alone', async () => {
    let inside = 0;
    let most = 0;
    await Promise.all(
      ways.map(async (way, index) => {
        const held = await tryToLock(reach(way), `pgbackup restore ${index}`, 60_000);
        inside += 1;
        most = Math.max(most, inside);
        await held.query('SELECT pg_sleep(0.01)');
        inside -= 1;
        await held.close();
      }),
    );
    expect(most).toBe(1);
    await gone();
  });

  test('and a database that was renamed meanwhile is still the same one', async () => {
    const held = await tryToLock(reach({ host: 'address', database: 'postgres' }), 'pgbackup restore one');
    await server.sql('ALTER DATABASE shop RENAME TO store');
    const second = tryToLock(reach({ host: 'socket', database: 'looking' }), 'pgbackup restore two', 0, 'store');
    await expect(second).rejects.toMatchObject({ reason: 'TargetBusy' });
    await held.close();
    await server.sql('ALTER DATABASE store RENAME TO shop');
    await gone();
  });
});

test('a second try ends all sessions of the first, also those that hold no lock, before it begins; strangers stay', async () => {
  const { socketDir: host, port, user, password } = server;
  const open = async (name: string): Promise<{ client: Client; ended: Promise<string> }> => {
    const client = new Client({ host, port, user, password, database: 'shop', application_name: name });
    const ended = new Promise<string>((resolve) => {
      client.on('error', ({ message }) => resolve(message));
    });
    await client.connect();
    await client.query('BEGIN');
    return { client, ended };
  };
  const loading = await open('pgbackup restore one');
  const stranger = await open('pgbackup restore other');
  await tryToLock({ host: '127.0.0.1', database: 'postgres' }, 'pgbackup restore one', 10_000);
  expect(await loading.ended).toContain('terminating connection');
  const next = await tryToLock({ host, database: 'looking' }, 'pgbackup restore one', 10_000);
  expect(await stranger.client.query('SELECT 1')).toMatchObject({ rowCount: 1 });
  await stranger.client.end();
  await next.close();
  await gone();
});

describe('A load of a try that is over', () => {
  const holder = 'pgbackup restore one';
  async function openLoad(): Promise<{ readonly client: Client; readonly ask: AskLoad }> {
    const { host, port, user, password } = server;
    const client = new Client({ host, port, user, password, database: 'shop', application_name: holder });
    client.on('error', () => {});
    await client.connect();
    await client.query('BEGIN');
    const ask: AskLoad = async (text) => {
      const { rows } = await client.query<string[]>({ text, rowMode: 'array', types: { getTypeParser: () => String } });
      return rows[0]?.[0];
    };
    return { client, ask };
  }

  test('is ended by the next try whatever it calls itself, and whatever it does with its locks', async () => {
    const first = await tryToLock({ host: '127.0.0.1', database: 'postgres' }, holder);
    const { client, ask } = await openLoad();
    await claimLoad(ask, holder, await plantFence(first, systemRandom));
    await client.query(`SET application_name = 'innocent'`);
    await client.query('SELECT pg_advisory_unlock_all()');
    const ended = new Promise((resolve) => client.once('end', resolve));
    const second = await tryToLock({ host: server.socketDir, database: 'looking' }, holder, 10_000);
    await ended;
    await second.close();
    await gone();
  });

  test('that begins only now finds that it is over', async () => {
    const first = await tryToLock({ host: '127.0.0.1', database: 'postgres' }, holder);
    const fence = await plantFence(first, systemRandom);
    const second = await tryToLock({ host: server.socketDir, database: 'looking' }, holder, 10_000);
    const { client, ask } = await openLoad();
    await expect(claimLoad(ask, holder, fence)).rejects.toMatchObject({ reason: 'TargetBusy' });
    await client.end();
    await second.close();
    await gone();
  });

  test('is not ended, and does not begin, when a stranger holds its lock', async () => {
    const first = await tryToLock({ host: '127.0.0.1', database: 'postgres' }, holder);
    const fence = await plantFence(first, systemRandom);
    const one = await openLoad();
    await claimLoad(one.ask, holder, fence);
    const two = await openLoad();
    await expect(claimLoad(two.ask, holder, fence)).rejects.toMatchObject({ reason: 'TargetBusy' });
    for (const { client } of [one, two]) await client.end();
    await first.close();
    await gone();
  });
});
