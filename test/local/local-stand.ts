import { spawn, type ChildProcess } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { compileCache } from '../compile-cache.ts';

/** A PostgreSQL server, a folder for backups and files that name them: what `pgbackup local` is tried on. */
export interface LocalStand {
  readonly folder: string;
  readonly server: Postgres;
  /** Absolute path of the folder that the location `disk` is. */
  readonly disk: string;
  readonly stateDir: string;
  /** The YAML of Secret and location, and of a policy with more lines in its spec. */
  yaml(policySpec?: string): string;
  /** Starts `pgbackup` with these arguments; stdin is the text. */
  start(args: readonly string[], stdin?: string, env?: Readonly<Record<string, string>>): Command;
  stop(): Promise<void>;
}

export interface Command {
  readonly child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** 128 + signal number if a signal ended it. */
  readonly exitCode: Promise<number>;
}

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export async function startLocalStand(): Promise<LocalStand> {
  const [binDir] = await listBinDirs(process.env['POSTGRES_BINDIRS']);
  if (binDir === undefined) throw new Error('there is no PostgreSQL server on this machine');
  const folder = await mkdtemp(join(tmpdir(), 'pgb-local-'));
  await chmod(folder, 0o755);
  const disk = join(folder, 'disk');
  await mkdir(disk);
  const server = await startPostgres({ binDir, dir: join(folder, 'pg') });
  await server.sql('CREATE DATABASE shop');
  await server.sql(
    'CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS note FROM generate_series(1, 20000) i',
    'shop',
  );
  const stateDir = join(folder, 'state');
  return {
    folder,
    server,
    disk,
    stateDir,
    yaml: (policySpec = '') => `apiVersion: v1
kind: Secret
metadata: { name: db }
stringData:
  username: ${JSON.stringify(server.user)}
  password: ${JSON.stringify(server.password)}
---
apiVersion: pgbackup.dev/v1beta1
kind: BackupLocation
metadata: { name: disk }
spec:
  directory: { path: ${JSON.stringify(disk)} }
---
apiVersion: pgbackup.dev/v1beta1
kind: BackupPolicy
metadata: { name: nightly }
spec:
  source:
    postgres:
      host: 127.0.0.1
      port: ${server.port}
      tls: { mode: disable }
      credentials: { secretName: db }
      databases: { names: [shop] }
  destinations: [{ location: disk }]
${policySpec}`,
    start: (args, stdin = '', env = {}) => {
      const child = spawn(process.execPath, [main, ...args], {
        cwd: folder,
        env: { ...compileCache, PATH: '/usr/bin:/bin', HOME: folder, PGBACKUP_PROGRAMS: binDir, ...env },
        stdio: 'pipe',
      });
      const written = { stdout: '', stderr: '' };
      child.stdout.on('data', (piece: Buffer) => (written.stdout += piece.toString()));
      child.stderr.on('data', (piece: Buffer) => (written.stderr += piece.toString()));
      child.stdin.end(stdin);
      return {
        child,
        stdout: () => written.stdout,
        stderr: () => written.stderr,
        exitCode: new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? (signal ? 128 : -1)))),
      };
    },
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export async function writeFiles(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
}
