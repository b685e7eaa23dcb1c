import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { namespace, startFaultStand, type FaultStand } from './fault-stand.ts';
import { listFiles } from './places.ts';
import { makeEarlier, seedEarlier, type EarlierBackup } from './seed-earlier.ts';
import { forgetReferences, verifyCopy } from './verify-copies.ts';

const shared = inject('faultsServer');
const database = 'damaged';

let stand: FaultStand;
let earlier: EarlierBackup;
beforeAll(async () => {
  if (shared === undefined) return;
  stand = await startFaultStand(shared, process.env['VERSITYGW']);
  await stand.makeDatabase(database, 'small');
  earlier = await makeEarlier(stand, database);
});
afterAll(async () => stand?.stop());

test('a flipped bit, a lost byte or a missing volume under a manifest is counted', async (context) => {
  if (shared === undefined) context.skip('there is no PostgreSQL server on this machine');
  const policy = 'copied';
  const place = await stand.makeFolder(policy);
  const restore = (): Promise<void> => seedEarlier(earlier, place, policy);
  await restore();
  const files = [...(await listFiles(place.root, `${namespace}/${policy}`)).keys()];
  const key = files.find((path) => path.endsWith('manifest.json')) ?? '';
  const volume = join(place.root, files.find((path) => path.includes('.dump')) ?? '');
  expect(await verifyCopy(place.root, key, stand.server)).toMatchObject({ differing: 0, problems: [] });
  const damages = [
    async () => {
      const bytes = await readFile(volume);
      bytes[1000] = (bytes[1000] ?? 0) ^ 1;
      await writeFile(volume, bytes);
    },
    async () => writeFile(volume, (await readFile(volume)).subarray(0, -1)),
    () => rm(volume),
    // Whole and as the manifest says, but not what the database holds now.
    async () => void (await stand.server.sql('DELETE FROM orders WHERE id = 7', database)),
  ];
  for (const damage of damages) {
    await restore();
    forgetReferences();
    await damage();
    const { differing, problems } = await verifyCopy(place.root, key, stand.server);
    expect(problems).toHaveLength(1);
    expect(differing).toBeGreaterThan(0);
  }
});
