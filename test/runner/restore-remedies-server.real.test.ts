import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { pgbouncer, startPgbouncer, type PgbouncerOptions } from '../servers/pgbouncer.ts';
import type { Postgres } from '../servers/postgres.ts';
import type { RunningProgram } from '../servers/program.ts';
import { startStandby, type Standby } from '../servers/standby.ts';
import { openRemedyStand, plainOptions, type RemedyStand } from './remedy-stand.ts';
import type { TwoDatabases } from './two-databases.ts';

// As restore-remedies.real.test.ts: what is wrong with the way to the server, with its settings, and with the ends of transactions.

let on: RemedyStand;
let stand: TwoDatabases;
beforeAll(async () => {
  on = await openRemedyStand({});
  ({ stand } = on);
});
afterAll(async () => on?.stop());
beforeEach(async () => {
  await stand.server.sql('DROP DATABASE IF EXISTS target WITH (FORCE)');
});

// Needs PgBouncer (Debian: pgbouncer).
describe.skipIf(pgbouncer === undefined)('through a pooler', () => {
  const poolers: RunningProgram[] = [];
  afterAll(async () => {
    for (const pooler of poolers) await pooler.stop();
  });
  const pool = async (
    poolMode: PgbouncerOptions['poolMode'],
    more: Pick<PgbouncerOptions, 'databases' | 'users'> = {},
  ): Promise<Postgres> => {
    const dir = join(stand.folder, `pgbouncer-${poolers.length}`);
    const pooler = await startPgbouncer({ dir, server: stand.server, poolMode, ...more });
    poolers.push(pooler);
    return { ...stand.server, port: pooler.port };
  };

  test.each(['Create', 'Replace', 'InPlace'] as const)(
    'TransactionPooling: mode %s goes to the server itself, or through a pool of sessions',
    async (mode) => {
      const begin = async (): Promise<void> => {
        await stand.server.sql('DROP DATABASE IF EXISTS target WITH (FORCE)');
        if (mode !== 'Create') await stand.server.sql('CREATE DATABASE target');
      };
      await begin();
      const hint = await on.fails('TransactionPooling', 'target', { mode }, { server: await pool('transaction') });
      expect(hint).toBe(
        'Connect to the server itself, or to a pool with session pooling (PgBouncer: pool_mode = session).',
      );
      await on.works('target', { mode });
      await begin();
      await on.works('target', { mode }, { server: await pool('session') });
      // The pool is that of all, and only our user, or our databases, have sessions of their own.
      const { user, host, port } = stand.server;
      await begin();
      const ofUser = { users: { [user]: 'pool_mode=session' } };
      await on.works('target', { mode }, { server: await pool('transaction', ofUser) });
      await begin();
      const databases = { '*': `host=${host} port=${port} pool_mode=session` };
      await on.works('target', { mode }, { server: await pool('transaction', { databases }) });
    },
  );
});

test('LockTableFull: max_locks_per_transaction is raised and the server restarted, or not all is one transaction', async () => {
  const tables = Array.from({ length: 3000 }, (_, index) => `CREATE TABLE t_${index} ()`);
  const backup = await on.backUp(stand.server, `CREATE TABLE t (i int); ${tables.join('; ')}`);
  const server = await on.startServer(stand.binDir, 'narrow');
  for (const [name, value] of Object.entries({ max_connections: 20, max_locks_per_transaction: 10 })) {
    await server.sql(`ALTER SYSTEM SET ${name} = ${value}`);
  }
  await server.restart();
  await server.sql('CREATE DATABASE target');
  const hint = await on.fails('LockTableFull', 'target', { mode: 'InPlace' }, { server, backup });
  expect(hint).toBe(
    'Raise max_locks_per_transaction of the target server and restart it, or restore with mode Replace or Create: only InPlace locks all that it makes until its end.',
  );
  await on.works('other', { mode: 'Create' }, { server, backup });
  await on.works('other', { mode: 'Replace', options: { ...plainOptions, jobs: 2 } }, { server, backup });
  await server.sql('ALTER SYSTEM SET max_locks_per_transaction = 256');
  await server.restart();
  await on.works('target', { mode: 'InPlace' }, { server, backup });
});

describe('of a standby', () => {
  let standby: Standby;
  beforeAll(async () => {
    standby = await startStandby(stand.server, join(stand.folder, 'standby'));
  });
  afterAll(async () => standby?.stop());

  test('PermissionDenied: the primary is named in its place', async () => {
    const server = { ...stand.server, port: standby.port };
    const hint = await on.fails('PermissionDenied', 'target', { mode: 'Create' }, { server });
    expect(hint).toBe('name the address of the primary');
    await on.works('target', { mode: 'Create' });
  });
});

test('SqlRefused: what ends the transaction is taken out, or goes with mode Replace or Create', async () => {
  const place = stand.place.place.directory?.path ?? '';
  const content = 'CREATE TABLE t AS SELECT generate_series(1, 100);\n';
  await writeFile(join(place, 'ends.sql'), `${content}ROLLBACK;\n`);
  await writeFile(join(place, 'whole.sql'), content);
  const source = (key: string) => ({ source: { file: { location: stand.place, key } } });
  await stand.server.sql('CREATE DATABASE target');
  const hint = await on.fails('SqlRefused', 'target', { mode: 'InPlace', ...source('ends.sql') });
  expect(hint).toBe('take the statement out, or restore with mode Replace or Create');
  await on.works('target', { mode: 'Replace', ...source('ends.sql') });
  await stand.server.sql('DROP DATABASE target');
  await on.works('target', { mode: 'Create', ...source('ends.sql') });
  await stand.server.sql('DROP TABLE t', 'target');
  await on.works('target', { mode: 'InPlace', ...source('whole.sql') });
});
