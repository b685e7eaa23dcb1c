import '../test/servers/use-private-programs.ts';
import { chmod, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startS3 } from '../test/servers/s3.ts';
import { clusterFolder, databaseName, startBenchDatabase, type BenchDatabase } from './bench-database.ts';
import { needPrograms } from './need-programs.ts';
import { openOwned } from './owned.ts';
import { printResults } from './print-results.ts';
import {
  restoreRunner,
  restoreScript,
  restoreScriptShell,
  restoreShell,
  type RestoreStand,
} from './restore-contenders.ts';
import { runInTurns } from './run-in-turns.ts';
import { seedDatabase } from './seed-database.ts';
import { storeBackup, type StoredBackup } from './store-backup.ts';

// `npm run bench:restore -- --scale 100 --pairs 5`: our runner against shell commands, from the same bucket to the same server, in turns.

const { values } = parseArgs({
  options: {
    scale: { type: 'string', default: '100' },
    pairs: { type: 'string', default: '5' },
    only: { type: 'string' },
    cache: { type: 'string', default: fileURLToPath(new URL('../.cache/bench', import.meta.url)) },
  },
});
const [scale, pairs] = [Number(values.scale), Number(values.pairs)];
const races = ['streaming', 'parallel', 'script'].filter((race) => values.only === undefined || values.only === race);
if (![scale, pairs].every((one) => Number.isInteger(one) && one > 0) || races.length === 0) {
  throw new Error('--scale and --pairs are whole numbers from 1, --only is streaming, parallel or script');
}
const streamed = 'rclone cat | zstd -d | pg_restore';
const tell = (line: string): void => void process.stdout.write(`${line}\n`);

needPrograms('rclone', 'zstd');
const owned = openOwned();
try {
  const stand = await prepare();
  tell(`scale ${scale}, ${pairs} pairs after a warm-up, from ${stand.s3.kind} on loopback, zstd, without ANALYZE`);
  if (races.includes('streaming')) await race('runner, jobs 1', 1, streamed, stand);
  if (races.includes('parallel')) await race('runner, jobs 2', 2, streamed, stand);
  if (races.includes('script')) await raceScripts(stand);
} finally {
  await owned.disposeAsync();
}

/** Seeds and backs up; the source's server has ended when the race begins. */
async function prepare(): Promise<RestoreStand> {
  const cache = resolve(values.cache);
  const folder = await mkdtemp(join(tmpdir(), 'pgbackup-bench-'));
  owned.defer(async () => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
  await chmod(folder, 0o755);
  const s3 = await startS3({ dir: join(folder, 's3'), versitygw: process.env['VERSITYGW'] });
  owned.defer(async () => s3.stop());
  const bucket = 'bench-bucket';
  await s3.createBucket(bucket);
  await mkdir(cache, { recursive: true });
  await seedDatabase(cache, scale, tell);
  const source = await startBenchDatabase(clusterFolder(cache, scale));
  let backup: StoredBackup;
  let script: RestoreStand['script'];
  try {
    backup = await storeBackup(folder, source, s3, bucket);
    script = await writeScript(folder, source);
  } finally {
    await source.stop();
  }
  const target = await startBenchDatabase(join(folder, 'target'));
  owned.defer(async () => target.stop());
  return { folder, s3, bucket, target, backup, script };
}

/** Rows and what they need before: where a loader has something to do. */
async function writeScript(folder: string, source: BenchDatabase): Promise<RestoreStand['script']> {
  const [files, key] = [join(folder, 'files'), 'bench.sql'];
  await mkdir(files);
  const path = join(files, key);
  await source.call('pg_dump', ['--section=pre-data', '--section=data', `--file=${path}`, databaseName]);
  return { folder: files, key, bytes: (await stat(path)).size };
}

async function raceScripts(stand: RestoreStand): Promise<void> {
  const contenders = [
    restoreScript('runner, plain SQL', stand),
    restoreScriptShell('psql -f', '"$PSQL" -X -q -v ON_ERROR_STOP=1 -d bench -f "$SCRIPT"', stand),
  ];
  tell(['', ...printResults(await runInTurns(contenders, pairs))].join('\n'));
}

/** Neither uses a disk. */
async function race(ours: string, jobs: number, theirs: string, stand: RestoreStand): Promise<void> {
  const script = 'rclone cat "$REMOTE" | zstd -dc | "$PG_RESTORE" --exit-on-error -d bench';
  const contenders = [restoreRunner(ours, stand, jobs), restoreShell(theirs, script, stand)];
  tell(['', ...printResults(await runInTurns(contenders, pairs))].join('\n'));
}
