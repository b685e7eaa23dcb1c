import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findFreePort } from '../test/servers/free-port.ts';
import { listBinDirs } from '../test/servers/postgres.ts';

const run = promisify(execFile);
export const databaseName = 'bench';

/** A private cluster with the database of the benchmark, kept in a folder from one run to the next. */
export interface BenchDatabase {
  readonly binDir: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** psql with these statements; resolves with what it prints. */
  psql(sql: string): Promise<string>;
  /** A program of PostgreSQL against this database. */
  call(program: string, args: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

/** Where the cluster of a scale is kept; the folder says by a file when it is complete. */
export const clusterFolder = (cache: string, scale: number): string => join(cache, `postgres-scale-${scale}`);

/** Starts the cluster in `folder`, which is made if it is not there. As root it runs as the user postgres, or nobody. */
export async function startBenchDatabase(folder: string): Promise<BenchDatabase> {
  const [binDir] = await listBinDirs(process.env['POSTGRES_BINDIRS']);
  if (binDir === undefined) throw new Error('there is no PostgreSQL server program; run: make setup');
  const account = process.getuid?.() === 0 ? await findAccount() : undefined;
  const asServer = async (program: string, args: readonly string[]): Promise<void> => {
    const command = [join(binDir, program), ...args];
    const drop = ['setpriv', `--reuid=${account}`, '--regid=nogroup', '--clear-groups'];
    const [first = '', ...rest] = account === undefined ? command : [...drop, ...command];
    await run(first, rest, { cwd: folder, env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C.UTF-8' } });
  };

  const cluster = join(folder, 'cluster');
  await mkdir(folder, { recursive: true });
  if (account !== undefined) await chown(folder, Number((await run('id', ['-u', account])).stdout), -1);
  if (!existsSync(join(cluster, 'PG_VERSION'))) {
    await asServer('initdb', [
      `--pgdata=${cluster}`,
      '--username=bench',
      '--auth=trust',
      '--encoding=UTF8',
      '--no-sync',
    ]);
  }
  const port = await findFreePort();
  const settings = {
    port,
    listen_addresses: "'127.0.0.1'",
    unix_socket_directories: "''",
    fsync: 'off',
    max_wal_size: '8GB',
    shared_buffers: '512MB',
    maintenance_work_mem: '256MB',
    autovacuum: 'off',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`);
  await writeFile(join(cluster, 'postgresql.auto.conf'), lines.join(''));
  await asServer('pg_ctl', [`--pgdata=${cluster}`, `--log=${join(folder, 'log')}`, '--wait', '--timeout=120', 'start']);
  // Clean, so that the next run finds the data without recovery.
  const stop = async (): Promise<void> => asServer('pg_ctl', [`--pgdata=${cluster}`, '--wait', '--mode=fast', 'stop']);

  const login = { host: '127.0.0.1', port, user: 'bench', password: 'none-needed' };
  const env = { PATH: process.env['PATH'] ?? '', PGHOST: login.host, PGPORT: String(port), PGUSER: login.user };
  const call = async (program: string, args: readonly string[]): Promise<string> =>
    (await run(join(binDir, program), [...args], { env, maxBuffer: 1 << 26 })).stdout;
  const psql = async (sql: string): Promise<string> =>
    call('psql', ['-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-d', databaseName, '-c', sql]);
  return { binDir, ...login, psql, call, stop };
}

async function findAccount(): Promise<string> {
  return run('id', ['postgres']).then(
    () => 'postgres',
    () => 'nobody',
  );
}
