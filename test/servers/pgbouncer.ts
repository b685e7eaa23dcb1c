import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Postgres } from './postgres.ts';
import { startProgram, type RunningProgram } from './program.ts';
import { findProgram } from './programs.ts';

export interface PgbouncerOptions {
  /** A folder of its own, made here; every folder above it must be open to other users when we are root. */
  readonly dir: string;
  readonly server: Pick<Postgres, 'host' | 'port' | 'user' | 'password'>;
  readonly poolMode: 'session' | 'transaction' | 'statement';
  /** More of section [pgbouncer]. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Section [databases]; default: every database, at the server. */
  readonly databases?: Readonly<Record<string, string>>;
  /** Section [users]. */
  readonly users?: Readonly<Record<string, string>>;
}

/** Undefined where PgBouncer is not installed. */
export const pgbouncer = findProgram('pgbouncer');

/** Starts PgBouncer in front of a server; who logs in is the server's user, with the same password. */
export async function startPgbouncer(options: PgbouncerOptions): Promise<RunningProgram> {
  const { dir, server, poolMode } = options;
  await mkdir(dir, { recursive: true });
  const users = join(dir, 'users.txt');
  await writeFile(users, `"${server.user}" "${server.password.replaceAll('"', '""')}"\n`);
  await chmod(users, 0o644);
  const databases = options.databases ?? { '*': `host=${server.host} port=${server.port}` };
  const settings = {
    listen_addr: '127.0.0.1',
    auth_type: 'scram-sha-256',
    auth_file: users,
    unix_socket_dir: '',
    pool_mode: poolMode,
    ...options.settings,
  };
  const config = (port: number): string =>
    [
      '[databases]',
      ...Object.entries(databases).map(([name, value]) => `${name} = ${value}`),
      '[users]',
      ...Object.entries(options.users ?? {}).map(([name, value]) => `${name} = ${value}`),
      '[pgbouncer]',
      ...Object.entries({ ...settings, listen_port: String(port) }).map(([name, value]) => `${name} = ${value}`),
      '',
    ].join('\n');
  // It reads its port from its file: the shell fills in the one that is free now.
  const path = join(dir, 'pgbouncer.ini');
  await writeFile(path, config(0).replace('listen_port = 0', 'listen_port = @port@'));
  const asOther = process.getuid?.() === 0 ? 'setpriv --reuid=nobody --regid=nogroup --clear-groups' : '';
  return startProgram({
    command: '/bin/sh',
    args: (port) => [
      '-c',
      `sed 's/@port@/${port}/' "$1" > "$1.${port}" && chmod 644 "$1.${port}" && exec ${asOther} "$2" -q "$1.${port}"`,
      'sh',
      path,
      pgbouncer ?? 'pgbouncer',
    ],
  });
}
