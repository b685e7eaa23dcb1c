import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BackupTask } from '../../src/domain/task.ts';
import { backupTaskOf, directoryLocation, pgSecret, runWith, type RunEnd } from './run-with.ts';
import { required } from './stand.ts';
import { startTwoDatabases, type TwoDatabases } from './two-databases.ts';

let stand: TwoDatabases;
beforeAll(async () => {
  stand = await startTwoDatabases({ fill: 'CREATE TABLE t AS SELECT generate_series(1, 100) AS i' });
});
afterAll(async () => stand?.stop());

async function backUp(databases: BackupTask['databases']): Promise<RunEnd> {
  const place = directoryLocation('place', await mkdtemp(join(stand.folder, 'all-')));
  const task = backupTaskOf(stand.server, { databases, destinations: required(place) });
  return runWith(stand.folder, task, pgSecret(stand.server), [stand.binDir]);
}
const outcomes = ({ results }: RunEnd): readonly string[] =>
  results.flatMap((line) => (line.kind === 'database' ? [`${line.name} ${line.outcome}`] : []));

test('databases that restores kept are no part of all, which a note tells, until they are named or put to use again', async () => {
  const restored = await runWith(stand.folder, stand.taskOf({ keepPrevious: true }), pgSecret(stand.server), [
    stand.binDir,
  ]);
  expect(restored.verdict.verdict).toBe('Succeeded');
  const kept = restored.results.flatMap((line) => (line.kind === 'restored' ? [line.previous ?? ''] : []));
  const [shop = '', stock = ''] = kept;
  // Anybody may have called one of his so.
  await stand.server.sql('CREATE DATABASE own_20260101t030000z');

  const all = await backUp({ all: true });
  expect(all.verdict).toMatchObject({ verdict: 'Succeeded' });
  expect(all.verdict).toHaveProperty(
    'notes',
    expect.arrayContaining([
      expect.objectContaining({
        reason: 'DatabaseSkipped',
        count: 2,
        message: expect.stringContaining('a restore replaced it and kept it (keepPrevious)') as string,
      }),
    ]),
  );
  const others = ['own_20260101t030000z stored', 'postgres stored', 'shop stored', 'stock stored'];
  expect([...outcomes(all)].sort()).toEqual([...others, `${shop} skipped`, `${stock} skipped`].sort());

  expect(outcomes(await backUp({ names: [shop] }))).toEqual([`${shop} stored`]);

  // Back to what was before the restore.
  await stand.server.sql('ALTER DATABASE shop RENAME TO shop_that_was_wrong');
  await stand.server.sql(`ALTER DATABASE ${shop} RENAME TO shop`);
  expect(outcomes(await backUp({ all: true, exclude: ['postgres', stock] }))).toEqual([
    'own_20260101t030000z stored',
    'shop stored',
    'shop_that_was_wrong stored',
    'stock stored',
  ]);
});
