import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseVerdict } from '../src/domain/report.ts';
import { runnerEnvironment } from '../src/domain/runner-environment.ts';
import type { RestoreTask } from '../src/domain/task.ts';
import { layRoot, pgSecret, s3Location, s3Secret } from '../test/runner/run-with.ts';
import type { S3Server } from '../test/servers/s3.ts';
import { databaseName, type BenchDatabase } from './bench-database.ts';
import type { BenchRun, Contender } from './contenders.ts';
import { measureProcess } from './measure-process.ts';
import { rcloneEnvironment } from './rclone-environment.ts';
import type { StoredBackup } from './store-backup.ts';

/** What every contender restores, and to where. */
export interface RestoreStand {
  readonly folder: string;
  readonly s3: S3Server;
  readonly bucket: string;
  /** The server that is restored to. */
  readonly target: BenchDatabase;
  readonly backup: StoredBackup;
  /** Plain SQL of the same without what comes behind the rows, alone in its folder. */
  readonly script: { readonly folder: string; readonly key: string; readonly bytes: number };
}

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const path = (process.env['PATH'] ?? '')
  .split(':')
  .filter((folder) => !folder.includes('node_modules'))
  .join(':');

/** The built runner, mode Create, without ANALYZE and checks. */
export function restoreRunner(name: string, stand: RestoreStand, jobs: number): Contender {
  return runRunner(name, stand, taskOf(stand, jobs), (measured) => finish(stand, measured, stand.backup.storedBytes));
}

/** The same with the plain SQL, from its folder. */
export function restoreScript(name: string, stand: RestoreStand): Contender {
  const { folder, key } = stand.script;
  const task: RestoreTask = {
    ...taskOf(stand, 1),
    source: { file: { location: { name: 'files', place: { directory: { path: folder } } }, key } },
    target: { ...taskOf(stand, 1).target, databases: [{ target: databaseName }] },
  };
  return runRunner(name, stand, task, (measured) => finishScript(stand, measured));
}

function runRunner(
  name: string,
  stand: RestoreStand,
  task: RestoreTask,
  end: (measured: Omit<BenchRun, 'storedBytes'>) => Promise<BenchRun>,
): Contender {
  return {
    name,
    run: async () => {
      const { folder, s3, target } = stand;
      const root = await mkdtemp(join(folder, 'root-'));
      await layRoot(root, task, { ...s3Secret(s3), ...pgSecret(target) }, '12345678-0000-4000-8000-000000000000');
      const terminationMessage = join(root, 'termination-message');
      try {
        await dropDatabase(target);
        const measured = await measureProcess([process.execPath, main, 'runner'], {
          ...runnerEnvironment,
          PATH: path,
          PGBACKUP_ROOT: root,
          PGBACKUP_TERMINATION_MESSAGE: terminationMessage,
          PGBACKUP_PROGRAMS: target.binDir,
        });
        const verdict = parseVerdict(await readFile(terminationMessage, 'utf8'));
        if (verdict?.kind !== 'restore' || verdict.verdict !== 'Succeeded')
          throw new Error(`the runner says ${verdict?.verdict}: ${verdict?.message}`);
        return await end(measured);
      } finally {
        await rm(root, { recursive: true, force: true });
      }
    },
  };
}

/** Shell commands in an empty folder; `$REMOTE` is the artifact for rclone, `$PG_RESTORE` the program. The database is there, and empty. */
export function restoreShell(name: string, script: string, stand: RestoreStand): Contender {
  return runShell(name, script, stand, (measured) => finish(stand, measured, stand.backup.storedBytes));
}

/** The same, where what is restored is the plain SQL `$SCRIPT`; `$PSQL` is the program. */
export function restoreScriptShell(name: string, script: string, stand: RestoreStand): Contender {
  return runShell(name, script, stand, (measured) => finishScript(stand, measured));
}

function runShell(
  name: string,
  script: string,
  stand: RestoreStand,
  end: (measured: Omit<BenchRun, 'storedBytes'>) => Promise<BenchRun>,
): Contender {
  return {
    name,
    run: async () => {
      const { folder, s3, bucket, target, backup } = stand;
      const work = await mkdtemp(join(folder, 'work-'));
      try {
        await dropDatabase(target);
        await target.call('createdb', [databaseName]);
        const measured = await measureProcess(['bash', '-e', '-o', 'pipefail', '-c', `cd "$WORK"; ${script}`], {
          PATH: path,
          HOME: folder,
          WORK: work,
          REMOTE: `bench:${bucket}/${backup.key}`,
          PG_RESTORE: join(target.binDir, 'pg_restore'),
          PSQL: join(target.binDir, 'psql'),
          SCRIPT: join(stand.script.folder, stand.script.key),
          PGHOST: target.host,
          PGPORT: String(target.port),
          PGUSER: target.user,
          ...rcloneEnvironment(s3),
        });
        return await end(measured);
      } finally {
        await rm(work, { recursive: true, force: true });
      }
    },
  };
}

function taskOf({ s3, bucket, target, backup }: RestoreStand, jobs: number): RestoreTask {
  return {
    version: 1,
    kind: 'restore',
    namespace: backup.namespace,
    request: { name: 'bench', uid: 'b0dafa6b-aaef-455a-8e8a-4c55cb10c334' },
    source: {
      backup: {
        name: backup.id,
        uid: backup.uid,
        copies: [{ location: s3Location('s3', s3, bucket), manifestKey: backup.manifestKey }],
      },
    },
    target: {
      server: {
        host: target.host,
        port: target.port,
        tls: { mode: 'disable' },
        credentials: { secretName: 'pg', keys: { username: 'username', password: 'password' } },
      },
      databases: [{ source: databaseName, target: databaseName }],
    },
    mode: 'Create',
    keepPrevious: false,
    clean: false,
    select: { schemaOnly: false, dataOnly: false },
    options: { jobs, noOwner: false, noPrivileges: false, globals: false, analyze: false },
    afterSql: [],
    checks: [],
    waitForServerSeconds: 5,
    waitForSecretSeconds: 1,
    settleSeconds: 0,
  };
}

/** The same beginning for everybody: no database, and nothing left to be written. */
async function dropDatabase(target: BenchDatabase): Promise<void> {
  await target.call('dropdb', ['--if-exists', databaseName]);
  await target.call('psql', ['-X', '-q', '-d', 'postgres', '-c', 'CHECKPOINT']);
}

/** @throws Error when the restored database is not what was backed up */
async function finish(
  stand: RestoreStand,
  measured: Omit<BenchRun, 'storedBytes'>,
  storedBytes: number,
): Promise<BenchRun> {
  const rows = await countRows(stand.target);
  if (rows !== stand.backup.rows) throw new Error(`restored ${rows} instead of ${stand.backup.rows}`);
  return { ...measured, storedBytes };
}

/** Rows alone: the script ends before the indexes. */
async function finishScript(stand: RestoreStand, measured: Omit<BenchRun, 'storedBytes'>): Promise<BenchRun> {
  const [rows, wanted] = [await countRows(stand.target), stand.backup.rows].map((text) =>
    text.replace(/\|[0-9]+$/, ''),
  );
  if (rows !== wanted) throw new Error(`restored ${rows} instead of ${wanted}`);
  return { ...measured, storedBytes: stand.script.bytes };
}

/** Rows and indexes of everything. */
export async function countRows(database: BenchDatabase): Promise<string> {
  const tables = ['pgbench_accounts', 'pgbench_branches', 'documents', 'blobs', 'events'];
  const counts = tables.map((table) => `(SELECT count(*) FROM ${table})`);
  const indexes = `(SELECT count(*) FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relnamespace = 'public'::regnamespace)`;
  return (await database.psql(`SELECT ${[...counts, indexes].join(', ')}`)).trim();
}
