import { chmod, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { BackupTask, RestoreTask, TaskLocation } from '../../src/domain/task.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { describeSchema } from './nasty-database.ts';
import { restoreTaskOf } from './restore-task-of.ts';
import { checksumTables } from './restore-with-stock-tools.ts';
import { backupTaskOf, directoryLocation, pgSecret, runWith } from './run-with.ts';
import { required } from './stand.ts';

/** A real server with the databases `shop` and `stock`, which are also in a backup at `place`. */
export interface TwoDatabases {
  readonly names: readonly string[];
  readonly binDir: string;
  readonly folder: string;
  readonly server: Postgres;
  readonly place: TaskLocation;
  /** What `look` told when they were backed up. */
  readonly dumped: unknown;
  /** Schema and content of both. */
  look(): Promise<unknown>;
  /** A restore of both over themselves. */
  taskOf(changes?: Partial<RestoreTask>): RestoreTask;
  stop(): Promise<void>;
}

export interface TwoDatabasesOptions {
  readonly settings?: Readonly<Record<string, string>>;
  /** Behind CREATE DATABASE and the name. */
  readonly create?: string;
  /** SQL that fills each. */
  readonly fill: string;
  readonly backup?: Partial<BackupTask>;
}

export async function startTwoDatabases(options: TwoDatabasesOptions): Promise<TwoDatabases> {
  const names = ['shop', 'stock'];
  const [binDir = ''] = await listBinDirs(process.env['POSTGRES_BINDIRS']);
  const temporary = await makeTemporaryFolder();
  const folder = temporary.path;
  // The server runs as another user below it.
  await chmod(folder, 0o755);
  const { settings } = options;
  const server = await startPostgres({
    binDir,
    dir: join(folder, 'pg'),
    ...(settings === undefined ? {} : { settings }),
  });
  const stop = async (): Promise<void> => {
    await server.stop();
    await temporary.remove();
  };
  const look = async (): Promise<unknown> => {
    const looks: Record<string, unknown> = {};
    for (const name of names) looks[name] = [await describeSchema(server, name), await checksumTables(server, name)];
    return looks;
  };
  try {
    for (const name of names) {
      await server.sql(`CREATE DATABASE ${name} ${options.create ?? ''}`);
      await server.sql(`${options.fill}; COMMENT ON DATABASE ${name} IS 'comment of ${name}'`, name);
    }
    const place = directoryLocation('place', await mkdtemp(join(folder, 'place-')));
    const task = backupTaskOf(server, { databases: { names }, destinations: required(place), ...options.backup });
    const { verdict } = await runWith(folder, task, pgSecret(server), [binDir]);
    expect(verdict.verdict).toBe('Succeeded');
    const pairs = names.map((name) => ({ source: name, target: name }));
    const taskOf = (changes: Partial<RestoreTask> = {}): RestoreTask => {
      const restore = restoreTaskOf(server, [place], changes);
      return { ...restore, target: { ...restore.target, databases: pairs } };
    };
    return { names, binDir, folder, server, place, dumped: await look(), look, taskOf, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
