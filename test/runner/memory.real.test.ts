import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseVerdict } from '../../src/domain/report.ts';
import { runnerEnvironment } from '../../src/domain/runner-environment.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { backupTaskOf, layRoot, pgSecret, podUids } from './run-with.ts';
import { startRunner, watchTree } from './runner-process.ts';
import { placeKinds, required, startStand, type Stand } from './stand.ts';

const binDir = (await listBinDirs(process.env['POSTGRES_BINDIRS'])).at(-1) ?? '';
const megabyte = 1_000_000;

let stand: Stand;
let server: Postgres;
beforeAll(async () => {
  stand = await startStand();
  server = await startPostgres({ binDir, dir: join(stand.folder, 'pg') });
  await server.sql('CREATE DATABASE small');
  // Compresses to about a half, and is long enough that every buffer on the way is filled and given back many times.
  await server.sql(
    `CREATE TABLE t (i int, m text); ALTER TABLE t ALTER m SET STORAGE EXTERNAL;
     INSERT INTO t SELECT i, (SELECT string_agg(md5((i * 40 + k)::text), '') FROM generate_series(1, 40) k)
       FROM generate_series(1, ${Math.round((250 * megabyte) / 1290)}) i`,
    'small',
  );
  await server.sql('CREATE DATABASE large TEMPLATE small');
  await server.sql('INSERT INTO t SELECT i, m FROM t, generate_series(1, 4)', 'large');
});
afterAll(async () => {
  await server?.stop();
  await stand?.stop();
});

/** Peak of the resident memory of the runner and all its children in sum, looked at every 50 ms. */
async function peakOf(database: string, kinds: readonly (typeof placeKinds)[number][]) {
  const places = await stand.fresh();
  const task = backupTaskOf(server, {
    databases: { names: [database] },
    destinations: required(...kinds.map((kind) => places[kind])),
  });
  const root = await mkdtemp(join(stand.folder, 'root-'));
  await layRoot(root, task, { ...stand.secrets, ...pgSecret(server) }, podUids.first);
  const runner = startRunner(root, [binDir], runnerEnvironment);
  let peak = 0;
  const code = await watchTree(runner, 50, (tree) => {
    peak = Math.max(
      peak,
      tree.reduce((sum, { rssBytes }) => sum + rssBytes, 0),
    );
  });
  if (code !== 0) process.stdout.write(runner.output());
  const verdict = parseVerdict(await readFile(join(root, 'termination-message'), 'utf8'));
  return { code, peak, plainBytes: verdict?.kind === 'backup' ? verdict.plainBytes : 0 };
}

/**
 * Two runs each. When garbage is collected is chance, so the growth that is held is between the larger of the small peaks and the
 * smaller of the large ones: what grows with the database is several times as large there, whatever the chance.
 */
async function measureGrowth(kinds: readonly (typeof placeKinds)[number][]) {
  const small = [await peakOf('small', kinds), await peakOf('small', kinds)];
  const large = [await peakOf('large', kinds), await peakOf('large', kinds)];
  for (const { code } of [...small, ...large]) expect(code).toBe(0);
  expect(small[0]?.plainBytes).toBeGreaterThan(240 * megabyte);
  expect(large[0]?.plainBytes).toBeGreaterThan(1200 * megabyte);
  const peaks = (runs: readonly { peak: number }[]) => runs.map(({ peak }) => peak);
  const inMegabytes = (runs: readonly { peak: number }[]) =>
    peaks(runs)
      .map((peak) => Math.round(peak / megabyte))
      .join(' and ');
  process.stdout.write(
    `peaks of the process tree, ${kinds.join(' + ')}: ${inMegabytes(small)} MB for 250 MB, ${inMegabytes(large)} MB for 1250 MB\n`,
  );
  return { ratio: Math.min(...peaks(large)) / Math.max(...peaks(small)), peak: Math.max(...peaks(large)) };
}

const timeout = 300_000;

test('with one destination memory does not grow with the database', { timeout }, async () => {
  const { ratio, peak } = await measureGrowth(['directory']);
  expect(ratio).toBeLessThanOrEqual(1.1);
  // Here the sources run, whose types Node strips in each of the two processes: some 30 MB more than the built program, whose limit is
  // 200 (npm run bench:backup -- --directory).
  expect(peak).toBeLessThanOrEqual(240 * megabyte);
});

test('nor does it with three destinations', { timeout }, async () => {
  const { ratio, peak } = await measureGrowth(placeKinds);
  expect(ratio).toBeLessThanOrEqual(1.1);
  expect(peak).toBeLessThanOrEqual(340 * megabyte);
});
