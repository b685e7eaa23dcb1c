import { execFile } from 'node:child_process';
import { chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { findFreePort } from './free-port.ts';
import type { Postgres } from './postgres.ts';

const run = promisify(execFile);

export interface Standby {
  readonly port: number;
  /** Resolves when it has everything that the primary had when this was called. */
  caughtUp(): Promise<void>;
  /** Rows of one statement in the database postgres. */
  ask<Row extends object>(text: string): Promise<readonly Row[]>;
  stop(): Promise<void>;
}

/** A hot standby of a server of ours, in a folder of its own; as root it runs as the user `postgres`, as the primary does. */
export async function startStandby(primary: Postgres, dir: string): Promise<Standby> {
  const { binDir, host, user, password, socketDir } = primary;
  const cluster = join(dir, 'cluster');
  await mkdir(dir, { recursive: true });
  const isRoot = process.getuid?.() === 0;
  const { stdout: ids } = isRoot ? await run('sh', ['-c', 'id -u postgres; id -g postgres']) : { stdout: '' };
  const [uid = '', gid = ''] = ids.split('\n');
  if (isRoot) await chown(dir, Number(uid), Number(gid));
  const call = async (program: string, ...args: readonly string[]): Promise<void> => {
    const as = isRoot ? ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'] : ['env'];
    const [first = '', ...rest] = [...as, join(binDir, program), ...args];
    await run(first, rest, { cwd: dir, env: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8', PGPASSWORD: password } });
  };
  await call(
    'pg_basebackup',
    '-R',
    '-X',
    'stream',
    '-c',
    'fast',
    '-h',
    socketDir,
    '-p',
    String(primary.port),
    '-U',
    user,
    '-D',
    cluster,
  );
  const port = await findFreePort();
  const options = `-p ${port} -k ${dir} -c listen_addresses=${host}`;
  await call('pg_ctl', '-D', cluster, '-w', '-t', '60', '-l', join(dir, 'log'), '-o', options, 'start');
  const ask = async <Row extends object>(text: string): Promise<readonly Row[]> => {
    const client = new Client({ host, port, user, password, database: 'postgres' });
    await client.connect();
    try {
      return (await client.query<Row>(text)).rows;
    } finally {
      await client.end();
    }
  };
  return {
    port,
    caughtUp: async () => {
      const [row] = await primary.sql<{ at: string }>('SELECT pg_current_wal_insert_lsn()::text AS at');
      const look = `SELECT pg_last_wal_replay_lsn() >= '${row?.at}' AS ok`;
      while ((await ask<{ ok: boolean }>(look))[0]?.ok !== true) await delay(50);
    },
    ask,
    stop: () => call('pg_ctl', '-D', cluster, '-w', '-m', 'immediate', 'stop'),
  };
}
