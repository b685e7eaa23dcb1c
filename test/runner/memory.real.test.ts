import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseVerdict } from '../../src/domain/report.ts';
import { runnerEnvironment } from '../../src/domain/task.ts';
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
  for (const size of [100, 500]) {
    await server.sql(`CREATE DATABASE db${size}`);
    // Compresses to about a half: what is stored must fill every buffer on the way in the small case too.
    await server.sql(
      `CREATE TABLE t (i int, m text); ALTER TABLE t ALTER m SET STORAGE EXTERNAL;
       INSERT INTO t SELECT i, (SELECT string_agg(md5((i * 40 + k)::text), '') FROM generate_series(1, 40) k)
         FROM generate_series(1, ${Math.round((size * megabyte) / 1290)}) i`,
      `db${size}`,
    );
  }
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

const best = (runs: readonly { peak: number }[]): number => Math.min(...runs.map(({ peak }) => peak));

/** The better of two runs each, so that what else goes on on the machine does not decide. */
async function measureGrowth(kinds: readonly (typeof placeKinds)[number][]) {
  const small = [await peakOf('db100', kinds), await peakOf('db100', kinds)];
  const large = [await peakOf('db500', kinds), await peakOf('db500', kinds)];
  for (const { code } of [...small, ...large]) expect(code).toBe(0);
  expect(small[0]?.plainBytes).toBeGreaterThan(95 * megabyte);
  expect(large[0]?.plainBytes).toBeGreaterThan(480 * megabyte);
  const ratio = best(large) / best(small);
  process.stdout.write(
    `peak of the process tree, ${kinds.join(' + ')}: ${Math.round(best(small) / megabyte)} MB for 100 MB, ` +
      `${Math.round(best(large) / megabyte)} MB for 500 MB, ratio ${ratio.toFixed(3)}\n`,
  );
  return { ratio, peak: best(large) };
}

test('with one destination memory does not grow with the database', async () => {
  const { ratio, peak } = await measureGrowth(['directory']);
  expect(ratio).toBeLessThanOrEqual(1.1);
  expect(peak).toBeLessThanOrEqual(260 * megabyte);
});

test('with three destinations memory stays within its bound', async () => {
  // 100 MB are over before every place has filled its buffers, so the ratio is told and the bound is what is held.
  const { peak } = await measureGrowth(placeKinds);
  expect(peak).toBeLessThanOrEqual(340 * megabyte);
});
