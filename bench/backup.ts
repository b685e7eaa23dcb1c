import '../test/servers/use-private-programs.ts';
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeKeyPair } from '../src/encryption/make-key-pair.ts';
import { startS3 } from '../test/servers/s3.ts';
import { startSshd } from '../test/servers/sshd.ts';
import { clusterFolder, startBenchDatabase, type BenchDatabase } from './bench-database.ts';
import { resticPipe, runner, shellPipe, type Contender, type Place, type Stand } from './contenders.ts';
import { readOptions } from './options.ts';
import { needPrograms } from './need-programs.ts';
import { openOwned } from './owned.ts';
import { median, printResults } from './print-results.ts';
import { runInTurns } from './run-in-turns.ts';
import { seedDatabase } from './seed-database.ts';

// `npm run bench:backup -- --scale 100 --pairs 9 --sftp --gzip`: our runner against shell pipes, on the same servers, in turns.

const options = readOptions(process.argv.slice(2));
const tell = (line: string): void => void process.stdout.write(`${line}\n`);

const allPlaces: readonly Place[] = ['s3', 'sftp', 'directory'];

needPrograms('rclone', ...(options.restic ? ['restic'] : []), ...(options.encrypted ? ['age', 'age-keygen'] : []));
const owned = openOwned();
try {
  const folder = await mkdtemp(join(tmpdir(), 'pgbackup-bench-'));
  owned.defer(async () => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
  await chmod(folder, 0o755);
  const s3 = await startS3({ dir: join(folder, 's3'), versitygw: process.env['VERSITYGW'] });
  owned.defer(async () => s3.stop());
  const needsSshd = options.sftp || options.places === 3;
  const sshd = needsSshd ? await startSshd({ dir: join(folder, 'sshd') }) : undefined;
  owned.defer(async () => sshd?.stop());
  const bucket = 'bench-bucket';
  await s3.createBucket(bucket);
  const stand: Stand = { folder, s3, sshd, bucket };
  await mkdir(options.cache, { recursive: true });
  if (options.memory) await compareMemory(stand);
  else await compareContenders(stand);
} finally {
  await owned.disposeAsync();
}

async function compareContenders(stand: Stand): Promise<void> {
  const database = await openDatabase(options.scale);
  const ours = runner(`runner → ${stand.s3.kind}`, database, stand, ['s3']);
  const contenders = [
    ours,
    shellPipe('pg_dump -Z0 | zstd -3 | rclone', '-Fc -Z0 | zstd -3 -q', database, stand),
    ...(options.encrypted ? await encrypting(database, stand) : []),
    ...(options.gzip ? [shellPipe('pg_dump -Fc | rclone', '-Fc', database, stand)] : []),
    ...(options.restic ? [resticPipe('pg_dump -Z0 | restic', database, stand)] : []),
    ...(options.places === 3 ? [runner('runner → 3 places', database, stand, allPlaces)] : []),
    ...(options.sftp ? [runner('runner → sftp', database, stand, ['sftp'])] : []),
    ...(options.directory ? [runner('runner → directory', database, stand, ['directory'])] : []),
  ];
  tell(`scale ${options.scale}, ${options.pairs} pairs after a warm-up, ${stand.s3.kind} on loopback, zstd 3`);
  tell(['', ...printResults(await runInTurns(contenders, options.pairs))].join('\n'));
}

async function encrypting(database: BenchDatabase, stand: Stand): Promise<readonly Contender[]> {
  const { publicKey } = await makeKeyPair(4096);
  const { stderr } = await promisify(execFile)('age-keygen', ['-o', join(stand.folder, 'age-key.txt')]);
  const recipient = /age1[a-z0-9]+/.exec(stderr)?.[0] ?? '';
  const pipe = `-Fc -Z0 | zstd -3 -q | age -r ${recipient}`;
  return [
    runner('runner → S3, encrypted', database, stand, ['s3'], { encryption: { recipients: [{ publicKey }] } }),
    shellPipe('pg_dump -Z0 | zstd -3 | age | rclone', pipe, database, stand),
  ];
}

/** The same runner on a database and on one five times as large: memory should not follow. */
async function compareMemory(stand: Stand): Promise<void> {
  const peaks: number[] = [];
  const places: readonly Place[] = options.places === 3 ? allPlaces : ['s3'];
  tell(`${options.pairs} runs each after a warm-up, to ${places.join(', ')}`);
  for (const scale of [options.scale, options.scale * 5]) {
    const database = await openDatabase(scale);
    const results = await runInTurns([runner(`scale ${scale}`, database, stand, places)], options.pairs);
    tell(printResults(results).join('\n'));
    peaks.push(median([...results.values()].flat().map(({ peakRssBytes }) => peakRssBytes)));
    await database.stop();
  }
  const [small = NaN, large = NaN] = peaks;
  tell(`peak of the database five times as large ÷ peak of the small one: ${(large / small).toFixed(3)}`);
}

async function openDatabase(scale: number): Promise<BenchDatabase> {
  await seedDatabase(options.cache, scale, tell);
  const database = await startBenchDatabase(clusterFolder(options.cache, scale));
  let isStopped = false;
  const stop = async (): Promise<void> => {
    if (isStopped) return;
    isStopped = true;
    await database.stop();
  };
  owned.defer(stop);
  return { ...database, stop };
}
