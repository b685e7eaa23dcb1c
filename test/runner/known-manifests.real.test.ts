import { afterAll, beforeAll, expect, it } from 'vitest';
import { manifestKey } from '../../src/domain/layout.ts';
import { printManifest } from '../../src/domain/manifest.ts';
import { inspectLocation } from '../../src/runner/inspect/inspect-location.ts';
import { WholeBytes } from '../../src/storage/whole-bytes.ts';
import { changeStorage } from '../builders/change-storage.ts';
import { manifestOf } from './manifest-of.ts';
import { placeKinds, startStand, type Stand } from './stand.ts';
import { workshopOf } from './workshop-of.ts';

const go = new AbortController().signal;
let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(async () => {
  await stand?.stop();
});

it.each(placeKinds)('what %s lists again as it was is not read again', async (kind) => {
  const location = (await stand.fresh())[kind];
  const place = await stand.open(location);
  const put = async (id: string, changes: object = {}): Promise<void> => {
    const bytes = Buffer.from(printManifest(manifestOf(id, changes)));
    await place.put(manifestKey('shop', 'nightly', id), new WholeBytes(bytes), {}, go);
  };
  const look = async (marks?: readonly string[]) => {
    const read: string[] = [];
    const watched = changeStorage(place, {
      get: (key, ...more) => {
        read.push(key);
        return place.get(key, ...more);
      },
      close: async () => undefined,
    });
    const workshop = workshopOf({ [location.name]: watched });
    const verdict = await inspectLocation(
      {
        version: 1,
        kind: 'inspect',
        namespace: 'shop',
        location,
        accessMode: 'ReadWrite',
        inspector: '5eed5eed',
        probe: false,
        fullPart: false,
        pageSize: 1000,
        waitForSecretSeconds: 1,
        ...(marks === undefined ? {} : { known: { marks: marks.join('') } }),
      },
      workshop,
    );
    expect(verdict.verdict).toBe('Succeeded');
    const lines = workshop.results();
    return {
      backups: verdict.backups,
      read,
      marks: lines.flatMap((line) => (line.kind === 'backup' ? (line.mark ?? []) : [])),
    };
  };
  for (const id of ['one', 'two', 'three']) await put(id);
  const first = await look();
  expect(first.marks).toHaveLength(3);
  expect(await look(first.marks)).toMatchObject({ backups: 3, read: [] });
  await put('two', { storedBytes: 123_456 });
  await put('four');
  const again = await look(first.marks);
  expect(again.read).toEqual(['four', 'two'].map((id) => manifestKey('shop', 'nightly', id)));
  expect(again.backups).toBe(4);
  await place.close();
});
