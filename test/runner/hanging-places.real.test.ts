import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { manifestKey } from '../../src/domain/layout.ts';
import type { BackupTask } from '../../src/domain/task.ts';
import type { Bytes, Storage } from '../../src/storage/storage.ts';
import { WholeBytes } from '../../src/storage/whole-bytes.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { backupTaskOf, directoryLocation, pgSecret, runWith } from './run-with.ts';
import { startStand, type Stand } from './stand.ts';

// A place that answers nothing more from some call on, and hears no abort: what no driver should do, and any may.
const binDir = (await listBinDirs(process.env['POSTGRES_BINDIRS'])).at(-1) ?? '';
const manifest = manifestKey('shop', 'nightly', 'nightly-20260101t030000z');
const backupPrefix = manifest.replace(/[^/]*$/, '');
const silence = new Promise<never>(() => undefined);
/** Long enough for every place that works, on a machine that does other things too. */
const stallMilliseconds = 4_000;

let stand: Stand;
let server: Postgres;
let secrets: Record<string, Record<string, string>>;
beforeAll(async () => {
  stand = await startStand();
  server = await startPostgres({ binDir, dir: join(stand.folder, 'pg') });
  secrets = { ...stand.secrets, ...pgSecret(server) };
  await server.sql('CREATE DATABASE shop');
  await server.sql('CREATE TABLE t AS SELECT i, md5(i::text) AS m FROM generate_series(1, 100000) i', 'shop');
});
afterAll(async () => {
  await server?.stop();
  await stand?.stop();
});

// oxlint-disable-next-line require-yield -- it never comes to that
async function* silentItems(): AsyncGenerator<never, void, undefined> {
  await silence;
}

async function swallow(body: Bytes): Promise<never> {
  for await (const _ of body);
  return await silence;
}

/** The place, but for one kind of call. `met` is told when that comes. */
const hangs: Readonly<Record<string, (storage: Storage, met: () => void) => Partial<Storage>>> = {
  'being asked for the manifest': (_, met) => ({
    get: () => {
      met();
      return silentItems();
    },
  }),
  'the first byte of a dump': (storage, met) => ({
    put: (key, body, ...rest) => {
      if (key === manifest) return storage.put(key, body, ...rest);
      met();
      return silence;
    },
  }),
  'the end of a dump': (storage, met) => ({
    put: (key, body, ...rest) => {
      if (key === manifest) return storage.put(key, body, ...rest);
      met();
      return swallow(body);
    },
  }),
  'being read back': (storage, met) => ({
    get: (key, ...rest) => {
      if (key === manifest) return storage.get(key, ...rest);
      met();
      return silentItems();
    },
  }),
  'being listed': (storage, met) => ({
    list: (prefix, ...rest) => {
      if (prefix === backupPrefix) return storage.list(prefix, ...rest);
      met();
      return silentItems();
    },
  }),
  'being looked at for earlier tries': (storage, met) => ({
    list: (prefix, ...rest) => {
      if (prefix !== backupPrefix) return storage.list(prefix, ...rest);
      met();
      return silentItems();
    },
  }),
  'the manifest': (storage, met) => ({
    put: (key, body, ...rest) => {
      if (key !== manifest) return storage.put(key, body, ...rest);
      met();
      return silence;
    },
  }),
  'being closed': (_, met) => ({
    close: () => {
      met();
      return silence;
    },
  }),
};

function change(storage: Storage, changes: Partial<Storage>): Storage {
  return {
    name: storage.name,
    conditionalPut: storage.conditionalPut,
    put: (...args) => storage.put(...args),
    get: (...args) => storage.get(...args),
    stat: (...args) => storage.stat(...args),
    list: (...args) => storage.list(...args),
    delete: (...args) => storage.delete(...args),
    listUnfinished: (...args) => storage.listUnfinished(...args),
    removeUnfinished: (...args) => storage.removeUnfinished(...args),
    close: () => storage.close(),
    ...changes,
  };
}

interface Run {
  readonly task: BackupTask;
  readonly decorate: (storage: Storage, location: string) => Storage;
  readonly wasMet: () => boolean;
  readonly keysOfGood: () => Promise<readonly string[]>;
}

async function arrange(hang: string, required: boolean): Promise<Run> {
  const { s3: good, directory: bad } = await stand.fresh();
  let met = false;
  return {
    task: backupTaskOf(server, {
      databases: { names: ['shop'] },
      compression: { algorithm: 'none' },
      destinations: [
        { location: good, required: true },
        { location: bad, required },
      ],
    }),
    decorate: (storage, location) =>
      location === bad.name ? change(storage, hangs[hang]?.(storage, () => (met = true)) ?? {}) : storage,
    wasMet: () => met,
    keysOfGood: () => stand.keys(good),
  };
}

describe.each(Object.keys(hangs))('A place that hangs at %s', (hang) => {
  const fails = hang !== 'being closed' && hang !== 'being looked at for earlier tries';

  test('as a best-effort one is left out: the run succeeds and the other place has the backup', async () => {
    const { task, decorate, wasMet, keysOfGood } = await arrange(hang, false);
    const { code, verdict } = await runWith(stand.folder, task, secrets, [binDir], { decorate, stallMilliseconds });
    expect(wasMet()).toBe(true);
    expect({ code, verdict }).toMatchObject({
      code: 0,
      verdict: {
        verdict: 'Succeeded',
        destinations: [{ outcome: 'Stored' }, fails ? { outcome: 'Failed' } : { outcome: 'Stored' }],
      },
    });
    expect(await keysOfGood()).toContain(manifest);
  });

  test('as a required one fails by itself: the other place has the backup', async () => {
    const { task, decorate, wasMet, keysOfGood } = await arrange(hang, true);
    const { verdict } = await runWith(stand.folder, task, secrets, [binDir], { decorate, stallMilliseconds });
    expect(wasMet()).toBe(true);
    expect(verdict).toMatchObject({
      verdict: fails ? 'PartlyFailed' : 'Succeeded',
      destinations: [
        { outcome: 'Stored' },
        fails ? { outcome: 'Failed', reason: 'StorageUnreachable' } : { outcome: 'Stored' },
      ],
    });
    expect(await keysOfGood()).toContain(manifest);
  });

  test('does not hold the end of a run that is stopped meanwhile: the verdict is there', async () => {
    const { task, decorate, wasMet } = await arrange(hang, true);
    const stop = new AbortController();
    const stopping = (storage: Storage, location: string): Storage => {
      const changed = decorate(storage, location);
      const look = <T>(result: T): T => {
        if (wasMet()) stop.abort(new Failure('Aborted', 'stopped by SIGTERM'));
        return result;
      };
      return change(changed, {
        put: (...args) => look(changed.put(...args)),
        get: (...args) => look(changed.get(...args)),
        close: () => look(changed.close()),
      });
    };
    const { verdict } = await runWith(stand.folder, task, secrets, [binDir], {
      decorate: stopping,
      signal: stop.signal,
    });
    expect(wasMet()).toBe(true);
    // What is being committed is not torn in two.
    const ends: Readonly<Record<string, object>> = {
      'being listed': { verdict: 'PartlyFailed', reason: 'DestinationFailed' },
      'the manifest': { verdict: 'PartlyFailed', reason: 'DestinationFailed' },
      'being closed': { verdict: 'Succeeded' },
    };
    expect(verdict).toMatchObject(ends[hang] ?? { verdict: 'Failed', reason: 'Aborted' });
  });
});

test.each([
  ['opening', '2 s after the required places'],
  ['a small file', '5 s after the required places'],
  ['a volume', 'for 20 s, and required places'],
] as const)(
  'A best-effort place that hangs at %s is soon left out of a run with the limits of a real one',
  async (at, why) => {
    const { task } = await arrange('', false);
    const [, bad] = task.destinations;
    const hanging = (storage: Storage): Storage =>
      change(storage, {
        ...(at === 'opening' ? { get: silentItems } : {}),
        put: (key, body, ...rest) => {
          const isVolume = !(body instanceof WholeBytes);
          return (at === 'a volume') === isVolume ? silence : storage.put(key, body, ...rest);
        },
      });
    const decorate = (storage: Storage, location: string): Storage =>
      location === bad?.location.name ? hanging(storage) : storage;
    const { code, verdict } = await runWith(stand.folder, task, secrets, [binDir], { decorate });
    expect(code).toBe(0);
    const [stored, failed] = verdict.kind === 'backup' ? verdict.destinations : [];
    expect(stored).toMatchObject({ outcome: 'Stored' });
    expect(failed).toMatchObject({ outcome: 'Failed', reason: 'StorageUnreachable' });
    // Required places are ready, or wait: 15 s and a minute are for when they do not.
    expect(failed?.message).toContain(why);
  },
);

test('A place whose listing hangs ends an inspection with StorageUnreachable', async () => {
  const { directory } = await stand.fresh();
  const { verdict } = await runWith(
    stand.folder,
    {
      version: 1,
      kind: 'inspect',
      namespace: 'shop',
      location: directoryLocation('volume', directory.place.directory?.path ?? ''),
      accessMode: 'ReadWrite',
      probe: true,
      pageSize: 100,
      inspector: 'a1b2c3d4',
      fullPart: false,
      waitForSecretSeconds: 1,
    },
    secrets,
    [binDir],
    { decorate: (storage) => change(storage, { list: silentItems }), stallMilliseconds: 2_000 },
  );
  expect(verdict).toMatchObject({ kind: 'inspect', verdict: 'Failed', reason: 'StorageUnreachable' });
});
