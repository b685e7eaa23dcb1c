import { ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { printManifest } from '../../src/domain/manifest.ts';
import type { InspectTask } from '../../src/domain/task.ts';
import { type DatedPlace, type DatedPlaces, datedKinds, startDatedPlaces } from './dated-places.ts';
import { manifestOf } from './manifest-of.ts';
import { runWith } from './run-with.ts';

// What remains.test.ts says of a folder, at servers that have clocks, uploads and versions of their own.
const hour = 3600;
let places: DatedPlaces;
beforeAll(async () => {
  places = await startDatedPlaces(process.env['VERSITYGW']);
});
afterAll(() => places?.stop());

async function inspect(
  { location }: DatedPlace,
  remains: Partial<NonNullable<InspectTask['remains']>> = {},
  accessMode: InspectTask['accessMode'] = 'ReadWrite',
) {
  const task: InspectTask = {
    version: 1,
    kind: 'inspect',
    namespace: 'shop',
    location,
    accessMode,
    inspector: '5eed5eed',
    probe: true,
    fullPart: false,
    pageSize: 1000,
    // Runs of nightly live six hours: what is older than 30 hours is old.
    remains: { deadlines: { nightly: 6 * hour }, running: ['running'], remove: [], ...remains },
    waitForSecretSeconds: 1,
  };
  const { verdict, results } = await runWith(places.folder, task, places.secrets, []);
  if (verdict.kind !== 'inspect') throw new Error('not an inspection');
  expect(verdict.message).toBeUndefined();
  return { seen: verdict.remains, proposed: results.flatMap((line) => (line.kind === 'remains' ? line.folders : [])) };
}

/** Everything that an inspection has to tell apart; what stays first, in the order of keys within each. */
async function fill(place: DatedPlace) {
  const manifest = manifestOf('done', {});
  const stays = [
    await place.lay('shop/nightly/young/11111111/orders.dump.zst', 29),
    await place.lay('shop/nightly/running/11111111/orders.dump.zst', 100),
    await place.lay(`shop/nightly/done/${manifest.attempt}/orders.dump.zst`, 100),
    await place.lay('shop/nightly/done/manifest.json', 100, printManifest(manifest)),
    await place.begin('shop/nightly/young/11111111/more.dump', 29),
    await place.begin('shop/nightly/running/11111111/more.dump', 100),
    // Others'.
    await place.lay('shop/nightly/old/11111111/notes.txt', 100),
    await place.lay('shop/nightly/old/README', 100),
    await place.lay('other/nightly/old/11111111/orders.dump', 100),
    await place.begin('other/nightly/old/11111111/orders.dump', 100),
    await place.begin('shop/film.mkv', 100),
  ];
  const goes = [
    await place.lay('shop/nightly/old/11111111/orders.dump.zst', 100),
    await place.lay('shop/nightly/old/11111111/orders.dump.zst.0002', 99),
    await place.lay('shop/nightly/done/99999999/orders.dump.zst', 100),
    await place.begin('shop/nightly/old/11111111/orders.dump.zst.0003', 31),
    await place.begin('shop/nightly/older/11111111/orders.dump.zst', 200),
    await place.begin('shop/nightly/older/manifest.json', 200),
  ];
  return { stays: stays.toSorted(), all: [...stays, ...goes].toSorted() };
}

describe.each(datedKinds)('What runs left at %s', (kind) => {
  test('is counted, and removed when it is old and two inspections agree; all else stays', async ({ skip }) => {
    skip(places.lacks(kind) !== undefined, places.lacks(kind));
    const place = await places.make(kind);
    const { stays, all } = await fill(place);
    expect(await place.left()).toEqual(all);

    const first = await inspect(place);
    expect(first.seen).toMatchObject({
      objects: 4,
      bytes: 40,
      unfinishedUploads: 1,
      removedUploads: 3,
      removedObjects: 0,
    });
    expect(first.proposed).toEqual(['nightly/done', 'nightly/old']);

    const second = await inspect(place, { remove: first.proposed });
    expect(second.seen).toMatchObject({
      objects: 1,
      bytes: 10,
      removedObjects: 3,
      removedBytes: 30,
      removedUploads: 0,
    });
    expect(second.proposed).toEqual([]);
    expect(await place.left()).toEqual(stays);
    const third = await inspect(place, { remove: first.proposed });
    expect(third.seen).toMatchObject({ objects: 1, removedObjects: 0 });
    expect(await place.left()).toEqual(stays);
  });

  test.for(['AppendOnly', 'ReadOnly'] as const)(
    'is told, and all of it stays, where the location is %s',
    async (mode, { skip }) => {
      skip(places.lacks(kind) !== undefined, places.lacks(kind));
      const place = await places.make(kind);
      const { all } = await fill(place);
      const { seen } = await inspect(place, { remove: ['nightly/old', 'nightly/done'] }, mode);
      expect(seen).toMatchObject({ objects: 4, bytes: 40, unfinishedUploads: 4, removedObjects: 0, removedUploads: 0 });
      expect(await place.left()).toEqual(all);
    },
  );
});

test('versions of what was removed are not counted any more: the rule of the bucket ends them', async ({ skip }) => {
  skip(places.lacks('a bucket') !== undefined, places.lacks('a bucket'));
  const place = await places.make('a bucket with versions');
  const key = await place.lay('shop/nightly/old/11111111/orders.dump.zst', 100);
  const { proposed } = await inspect(place);
  await inspect(place, { remove: proposed });
  expect((await inspect(place)).seen).toMatchObject({ objects: 0, bytes: 0 });
  const bucket = place.location.place.s3?.bucket;
  const found = await places.client.send(
    new ListObjectVersionsCommand({ Bucket: bucket, Prefix: `some/prefix/${key}` }),
  );
  expect(found).toMatchObject({ Versions: [{ Size: 10, IsLatest: false }], DeleteMarkers: [{ IsLatest: true }] });
});
