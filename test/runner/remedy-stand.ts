import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { FailureReason } from '../../src/api/reasons.ts';
import type { RestoreTask } from '../../src/domain/task.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { restoreTaskOf } from './restore-task-of.ts';
import { backupTaskOf, directoryLocation, pgSecret, runWith, type RunEnd, type TestSecrets } from './run-with.ts';
import { required } from './stand.ts';
import { startTwoDatabases, type TwoDatabases } from './two-databases.ts';

export const plainOptions = { jobs: 1, noOwner: false, noPrivileges: false, globals: false, analyze: false } as const;
export const asPlain: TestSecrets = { pg: { username: 'plain', password: 'plain-password' } };

interface Backup {
  readonly source: RestoreTask['source'];
  readonly database: string;
}

export interface Where {
  /** That of the stand if absent. */
  readonly server?: Postgres;
  /** That of `shop`, whose table `t` has 100 rows, if absent. */
  readonly backup?: Backup;
  readonly secrets?: TestSecrets;
}

/** Restores that fail with advice, and then do what it says. */
export interface RemedyStand {
  readonly stand: TwoDatabases;
  readonly binDirs: readonly string[];
  /** A server that has nothing of what a backup needs. */
  readonly bare: Postgres;
  startServer(binDir: string, name: string): Promise<Postgres>;
  /** Of a new database with a table `t` that gets 100 rows. */
  backUp(server: Postgres, fill: string, create?: string): Promise<Backup>;
  restore(target: string, changes: Partial<RestoreTask>, where?: Where): Promise<RunEnd>;
  /** It fails, and nothing is changed. @returns the advice */
  fails(reason: FailureReason, target: string, changes: Partial<RestoreTask>, where?: Where): Promise<string>;
  /** It is done, and all rows are there. */
  works(target: string, changes: Partial<RestoreTask>, where?: Where): Promise<void>;
  stop(): Promise<void>;
}

export async function openRemedyStand(settings: Readonly<Record<string, string>>): Promise<RemedyStand> {
  const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
  const stand = await startTwoDatabases({
    settings,
    fill: `CREATE TABLE t (i int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 100);
      DO $$ BEGIN CREATE ROLE keeper; EXCEPTION WHEN duplicate_object THEN END $$; ALTER TABLE t OWNER TO keeper`,
  });
  const servers: Postgres[] = [];
  const startServer = async (binDir: string, name: string): Promise<Postgres> => {
    const server = await startPostgres({ binDir, dir: join(stand.folder, name), settings });
    servers.push(server);
    return server;
  };
  const bare = await startServer(stand.binDir, 'bare');
  const restore: RemedyStand['restore'] = async (target, changes, where = {}) => {
    const { server = stand.server, secrets = pgSecret(server), backup } = where;
    const source = backup === undefined ? {} : { source: backup.source };
    const task = stand.taskOf({ options: plainOptions, ...source, ...changes });
    const { host, port } = server;
    const from = task.source.file === undefined ? { source: backup?.database ?? 'shop' } : {};
    const to = { server: { ...task.target.server, host, port }, databases: [{ ...from, target }] };
    return runWith(stand.folder, { ...task, target: to }, secrets, binDirs);
  };
  return {
    stand,
    binDirs,
    bare,
    startServer,
    restore,
    backUp: async (server, fill, create = '') => {
      await server.sql('DROP DATABASE IF EXISTS special WITH (FORCE)');
      await server.sql(`CREATE DATABASE special ${create}`);
      await server.sql(`${fill}; INSERT INTO t SELECT generate_series(1, 100)`, 'special');
      const place = directoryLocation('place', await mkdtemp(join(stand.folder, 'special-')));
      const task = backupTaskOf(server, { databases: { names: ['special'] }, destinations: required(place) });
      const { verdict, log } = await runWith(stand.folder, task, pgSecret(server), binDirs);
      expect(verdict.verdict, log).toBe('Succeeded');
      return { source: restoreTaskOf(server, [place]).source, database: 'special' };
    },
    fails: async (reason, target, changes, where) => {
      const { verdict, log } = await restore(target, changes, where);
      expect(verdict, log).toMatchObject({ verdict: 'Failed', reason, target: 'Untouched' });
      return verdict.hint ?? '';
    },
    works: async (target, changes, where = {}) => {
      const { verdict, log } = await restore(target, changes, where);
      expect([verdict.message, verdict], log).toMatchObject([undefined, { verdict: 'Succeeded', target: 'Restored' }]);
      const { server = stand.server } = where;
      expect(await server.sql('SELECT count(*)::int AS rows FROM t', target)).toEqual([{ rows: 100 }]);
    },
    stop: async () => {
      for (const server of servers) await server.stop();
      await stand.stop();
    },
  };
}

/** The statement that an advice begins with. */
export function statementOf(hint: string): string {
  return /^[A-Z][^,]*/.exec(hint)?.[0] ?? '';
}
