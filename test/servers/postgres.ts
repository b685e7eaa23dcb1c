import { execFile } from 'node:child_process';
import { chmod, chown, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';

const run = promisify(execFile);

export interface PostgresOptions {
  /** Folder with initdb, pg_ctl and postgres. */
  readonly binDir: string;
  /** A folder of its own, made here; every folder above it must be open to other users when we are root. */
  readonly dir: string;
  /** Without it the server speaks no TLS. Paths of PEM files; `clientCa` lets clients log in with certificates. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string; readonly clientCaFile?: string };
  /** More settings of postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>;
  /** A free one if absent. */
  readonly port?: number;
}

export interface Postgres {
  readonly host: string;
  readonly port: number;
  /** A superuser who logs in with a password (scram). */
  readonly user: string;
  readonly password: string;
  readonly major: number;
  readonly binDir: string;
  /** Folder of the unix socket. */
  readonly socketDir: string;
  /** Runs statements in one database (default postgres) and gives the rows of the last one. */
  sql<Row extends object = Record<string, unknown>>(text: string, database?: string): Promise<readonly Row[]>;
  /** Restarts on the same port; how as for stop. */
  restart(): Promise<void>;
  /** Immediately, as in a crash. Idempotent. */
  stop(): Promise<void>;
  /** Starts again after a stop. */
  start(): Promise<void>;
}

const mostPorts = 5;
const user = 'admin';
const password = 'correct horse: battery\\staple';

/**
 * Starts a PostgreSQL server of its own on a free loopback port, with passwords for everybody. As root it runs as the user
 * `postgres`, else `nobody` (a server refuses root). Nothing is made durable: it is for tests and demonstrations only.
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const { binDir, dir } = options;
  let port = options.port ?? (await freePort());
  const account = await findAccount();
  const cluster = join(dir, 'cluster');
  const socketDir = await makeSocketDir(dir);
  await mkdir(cluster, { recursive: true, mode: 0o700 });
  for (const path of [dir, socketDir, cluster]) await give(path, account);
  const passwordFile = join(dir, 'password');
  await writeFile(passwordFile, password, { mode: 0o600 });
  await give(passwordFile, account);

  const call = (program: string, ...args: readonly string[]) => callAs(account, join(binDir, program), args, dir);
  await call(
    'initdb',
    `--pgdata=${cluster}`,
    `--username=${user}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C.UTF-8',
    '--no-sync',
  );
  const settings: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: socketDir,
    fsync: 'off',
    full_page_writes: 'off',
    max_wal_size: '4GB',
    lc_messages: 'C',
    ...(options.tls === undefined ? {} : await installTls(options.tls, cluster, account)),
    ...options.settings,
  };
  const configure = async (): Promise<void> => {
    const lines = Object.entries({ ...settings, port: String(port) }).map(
      ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`,
    );
    await writeFile(join(cluster, 'postgresql.auto.conf'), lines.join(''));
  };

  let running = false;
  let tries = 0;
  const start = async (): Promise<void> => {
    await call('pg_ctl', `--pgdata=${cluster}`, `--log=${join(dir, 'log')}`, '--wait', '--timeout=60', 'start');
    running = true;
  };
  const stop = async (): Promise<void> => {
    if (!running) return;
    running = false;
    await call('pg_ctl', `--pgdata=${cluster}`, '--wait', '--mode=immediate', 'stop');
  };
  for (;;) {
    await configure();
    try {
      await start();
      break;
    } catch (error) {
      const log = await readFile(join(dir, 'log'), 'utf8').catch(() => '');
      // Somebody took it since it was seen to be free: another one is asked for.
      const isTaken = options.port === undefined && log.slice(-2000).includes('Address already in use');
      tries += 1;
      if (!isTaken || tries === mostPorts)
        throw new Error(`PostgreSQL of ${binDir} did not start: ${log.slice(-2000)}`, { cause: error });
      port = await freePort();
    }
  }

  const sql = async <Row extends object>(text: string, database = 'postgres'): Promise<readonly Row[]> => {
    const client = new Client({ host: socketDir, port, user, password, database });
    // The server may be stopped while we are connected; the statement says so then.
    client.on('error', () => {});
    await client.connect();
    try {
      const result: { rows: Row[] } | { rows: Row[] }[] = await client.query(text);
      return (Array.isArray(result) ? result.at(-1)?.rows : result.rows) ?? [];
    } finally {
      await client.end();
    }
  };
  const [version] = await sql<{ number: string }>(`SELECT current_setting('server_version_num') AS number`);
  return {
    host: '127.0.0.1',
    port,
    user,
    password,
    major: Math.floor(Number(version?.number) / 10_000),
    binDir,
    socketDir,
    sql,
    start,
    stop,
    restart: async () => {
      await stop();
      await start();
    },
  };
}

/** Folders of PostgreSQL programs with a server: `bindirs` (as in POSTGRES_BINDIRS, `:` between them) after Debian's own. */
export async function listBinDirs(bindirs: string | undefined): Promise<readonly string[]> {
  const debian = Array.from({ length: 10 }, (_, index) => `/usr/lib/postgresql/${index + 12}/bin`);
  const found: string[] = [];
  for (const binDir of [...debian, ...(bindirs ?? '').split(':').filter((entry) => entry !== '')]) {
    const ok = await run(join(binDir, 'postgres'), ['--version']).then(
      () => true,
      () => false,
    );
    if (ok) found.push(binDir);
  }
  return found;
}

interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** Who runs the server: undefined = we ourselves. */
async function findAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const id = async (flag: string, name: string) => Number((await run('id', [flag, name])).stdout);
  // Where the packages are not installed there is no user postgres.
  const name = await run('id', ['postgres']).then(
    () => 'postgres',
    () => 'nobody',
  );
  return { uid: await id('-u', name), gid: await id('-g', name) };
}

async function give(path: string, account: Account | undefined): Promise<void> {
  if (account !== undefined) await chown(path, account.uid, account.gid);
}

async function callAs(
  account: Account | undefined,
  program: string,
  args: readonly string[],
  cwd: string,
): Promise<void> {
  const [first, rest] =
    account === undefined
      ? [program, args]
      : ['setpriv', [`--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups', program, ...args]];
  await run(first, [...rest], { cwd, env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C.UTF-8' } });
}

/** A socket's path may have 107 bytes only, so not every `dir` will do. */
async function makeSocketDir(dir: string): Promise<string> {
  const socketDir = join(dir, 's');
  if (Buffer.byteLength(join(socketDir, '.s.PGSQL.65535.lock')) > 100)
    throw new Error(`${dir} is too long for a socket`);
  await mkdir(socketDir, { recursive: true, mode: 0o755 });
  return socketDir;
}

async function installTls(
  tls: NonNullable<PostgresOptions['tls']>,
  cluster: string,
  account: Account | undefined,
): Promise<Readonly<Record<string, string>>> {
  const install = async (from: string, name: string): Promise<void> => {
    const path = join(cluster, name);
    await rm(path, { force: true });
    await copyFile(from, path);
    await chmod(path, 0o600);
    await give(path, account);
  };
  await install(tls.certFile, 'server.crt');
  await install(tls.keyFile, 'server.key');
  if (tls.clientCaFile !== undefined) await install(tls.clientCaFile, 'client-ca.crt');
  return {
    ssl: 'on',
    ssl_cert_file: 'server.crt',
    ssl_key_file: 'server.key',
    ...(tls.clientCaFile === undefined ? {} : { ssl_ca_file: 'client-ca.crt' }),
  };
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const address = probe.address();
  await new Promise((resolve) => {
    probe.close(resolve);
  });
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
