import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { basename, dirname } from 'node:path';
import { connectClient, type Connection } from '../../src/postgres/connection.ts';
import { createDatabase } from '../../src/postgres/create-database.ts';
import { dropDatabase } from '../../src/postgres/drop-database.ts';
import { swapDatabases, type Swap } from '../../src/postgres/swap-databases.ts';
import { findDatabases } from '../../src/postgres/target-database.ts';
import { systemClock } from '../../src/support/clock.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { temporaryPostgres, type TemporaryPostgres } from './temporary-postgres.ts';

const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const never = new AbortController().signal;

describe.each(binDirs.map((binDir) => [basename(dirname(binDir)), binDir]))('PostgreSQL %s', (major, binDir) => {
  let server: TemporaryPostgres;
  let session: Connection;
  let second: Connection;
  beforeAll(async () => {
    server = await temporaryPostgres({ binDir, settings: { max_connections: '60' } });
    session = await connectClient(server.server, 'postgres', { timeoutMs: 10_000 }, never);
    second = await connectClient(server.server, 'postgres', { timeoutMs: 10_000 }, never);
  });
  afterAll(async () => {
    await session?.close();
    await second?.close();
    await server?.remove();
  });

  const connect = (name: string): Promise<Connection> =>
    connectClient(server.server, name, { timeoutMs: 10_000 }, never);
  const oidOf = async (name: string): Promise<string> => {
    const found = await findDatabases(session, Number(major), [name]);
    return found.get(name)?.oid ?? 'none';
  };

  test('clients that come back at once never win against a swap, and are never without the database', async () => {
    for (const name of ['shop', 'stock']) await createDatabase(session, Number(major), name, {});
    const crowd = startCrowd(server, ['shop', 'stock'], 12);
    await crowd.busy();
    const rounds = 20;
    for (let round = 0; round < rounds; round += 1) {
      const swaps: Swap[] = [];
      for (const target of ['shop', 'stock']) {
        const scratch = `scratch_${target}`;
        await createDatabase(session, Number(major), scratch, {});
        swaps.push({
          scratch: { name: scratch, oid: await oidOf(scratch) },
          target,
          replaced: { name: `old_${target}`, oid: await oidOf(target) },
          statements: [`COMMENT ON DATABASE ${target} IS 'round ${round}'`],
        });
      }
      const before = crowd.queries();
      await swapDatabases(swaps, { connection: session, second, clock: systemClock }, never);
      for (const { scratch, target } of swaps) {
        expect(await oidOf(target)).toBe(scratch.oid);
        await dropDatabase(session, `old_${target}`, connect);
      }
      await crowd.busy(before);
    }
    const { failures } = await crowd.stop();
    // Ended, or turned away for the moment of the renaming: nothing else ever happens to them.
    const odd = failures.filter(
      (message) =>
        !/terminating connection|Connection terminated|not queryable|does not exist|ECONNRESET|EPIPE/.test(message),
    );
    expect(odd).toEqual([]);
    expect(failures.length).toBeGreaterThan(0);
    for (const name of ['shop', 'stock']) await dropDatabase(session, name, connect);
  });

  test('a prepared transaction, which nobody can end, leaves everything as it was', async () => {
    await createDatabase(session, Number(major), 'held', {});
    await createDatabase(session, Number(major), 'scratch', {});
    const [held, scratch] = [await oidOf('held'), await oidOf('scratch')];
    await server.postgres.sql('ALTER SYSTEM SET max_prepared_transactions = 5');
    await session.close();
    await second.close();
    await server.postgres.restart();
    session = await connectClient(server.server, 'postgres', { timeoutMs: 10_000 }, never);
    second = await connectClient(server.server, 'postgres', { timeoutMs: 10_000 }, never);
    await server.postgres.sql(`BEGIN; CREATE TABLE t (i int); PREPARE TRANSACTION 'half'`, 'held');
    const swap: Swap = {
      scratch: { name: 'scratch', oid: scratch },
      target: 'held',
      replaced: { name: 'old', oid: held },
      statements: [],
    };
    await expect(
      swapDatabases([swap], { connection: session, second, clock: systemClock }, never),
    ).rejects.toMatchObject({ reason: 'TargetBusy', message: expect.stringContaining('prepared transaction') });
    expect([await oidOf('held'), await oidOf('scratch'), await oidOf('old')]).toEqual([held, scratch, 'none']);
    await server.postgres.sql(`ROLLBACK PREPARED 'half'`, 'held');
  });

  test('a second pair that cannot be renamed takes the first one back', async () => {
    for (const name of ['one', 'two', 'scratch_one']) await createDatabase(session, Number(major), name, {});
    const [one, two, made] = [await oidOf('one'), await oidOf('two'), await oidOf('scratch_one')];
    const pair = (target: string, scratchOid: string, oid: string): Swap => ({
      scratch: { name: `scratch_${target}`, oid: scratchOid },
      target,
      replaced: { name: `old_${target}`, oid },
      statements: [],
    });
    const tools = { connection: session, second, clock: systemClock };
    const gone = [pair('one', made, one), pair('two', '1', two)];
    await expect(swapDatabases(gone, tools, never)).rejects.toMatchObject({ reason: 'TargetBusy' });
    expect([await oidOf('one'), await oidOf('two'), await oidOf('scratch_one')]).toEqual([one, two, made]);
    // And what is another database than it was is left alone.
    await expect(swapDatabases([pair('one', made, two)], tools, never)).rejects.toMatchObject({ reason: 'TargetBusy' });
    expect([await oidOf('one'), await oidOf('scratch_one')]).toEqual([one, made]);
  });
});

interface Crowd {
  queries(): number;
  /** Resolves when every client has asked something since. */
  busy(since?: number): Promise<void>;
  stop(): Promise<{ readonly failures: readonly string[] }>;
}

/** Clients that connect, ask, and come back at once whenever they are thrown out. */
function startCrowd(server: TemporaryPostgres, databases: readonly string[], clients: number): Crowd {
  const { socketDir: host, port, user, password } = server.postgres;
  const state = { stopped: false, queries: 0 };
  const failures: string[] = [];
  const live = async (index: number): Promise<void> => {
    while (!state.stopped) {
      const client = new Client({ host, port, user, password, database: databases[index % databases.length] });
      client.on('error', () => {});
      try {
        await client.connect();
        while (!state.stopped) {
          await client.query('SELECT 1');
          state.queries += 1;
        }
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      } finally {
        await client.end().catch(() => {});
      }
    }
  };
  const lives = Array.from({ length: clients }, (_, index) => live(index));
  return {
    queries: () => state.queries,
    async busy(since = 0) {
      const enough = since + clients * 10;
      while (state.queries < enough) await delay(5);
    },
    async stop() {
      state.stopped = true;
      await Promise.all(lives);
      return { failures };
    },
  };
}
