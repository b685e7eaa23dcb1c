import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manifestKey } from '../../src/domain/layout.ts';
import { printManifest } from '../../src/domain/manifest.ts';
import type { BackupTask } from '../../src/domain/task.ts';
import { findCopy } from '../../src/runner/backup/find-copy.ts';
import type { Bytes } from '../../src/storage/storage.ts';
import { WholeBytes } from '../../src/storage/whole-bytes.ts';
import { systemClock } from '../../src/support/clock.ts';
import { changeStorage as change } from '../builders/change-storage.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { startS3 } from '../servers/s3.ts';
import { manifestOf } from './manifest-of.ts';
import { attempts, backupTaskOf, directoryLocation, pgSecret, podUids, runWith, s3Location } from './run-with.ts';
import { placeKinds, required, startStand, type Stand } from './stand.ts';
import { wrapPgDump } from './wrap-programs.ts';

const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const binDir = binDirs.at(-1) ?? '';
const never = new AbortController().signal;
const key = manifestKey('shop', 'nightly', 'nightly-20260101t030000z');

let stand: Stand;
let server: Postgres;
let secrets: Record<string, Record<string, string>>;
beforeAll(async () => {
  stand = await startStand();
  server = await startPostgres({ binDir, dir: join(stand.folder, 'pg') });
  secrets = { ...stand.secrets, ...pgSecret(server) };
  for (const name of ['alpha', 'beta', 'gamma']) {
    await server.sql(`CREATE DATABASE ${name}`);
    await server.sql('CREATE TABLE t AS SELECT i, md5(i::text) AS m FROM generate_series(1, 20000) i', name);
  }
  await server.sql('CREATE DATABASE big');
  // About 330 MB of dump that compresses to a third.
  await server.sql(
    `CREATE TABLE t (i int, m text); ALTER TABLE t ALTER m SET STORAGE EXTERNAL;
     INSERT INTO t SELECT i, repeat(md5(i::text), 128) FROM generate_series(1, 80000) i`,
    'big',
  );
});
afterAll(async () => {
  await server?.stop();
  await stand?.stop();
});

function onChunk(body: Bytes, look: (bytes: number) => void | Promise<void>): Bytes {
  return (async function* tap() {
    let bytes = 0;
    for await (const chunk of body) {
      bytes += chunk.length;
      await look(bytes);
      yield chunk;
    }
  })();
}

function taskOf(changes: Partial<BackupTask>): BackupTask {
  return backupTaskOf(server, { databases: { names: ['alpha', 'beta', 'gamma'] }, ...changes });
}

describe.each(placeKinds)('a dump of more than 300 MB to %s', (kind) => {
  const cut = 250 * 1024 * 1024;
  const faults = [
    [
      'ends with exit code 1',
      `"$REAL" "$@" 2>/dev/null | head -c ${cut}; echo 'pg_dump: error: lost' >&2; exit 1`,
      'DumpFailed',
    ],
    ['is killed', `"$REAL" "$@" 2>/dev/null | head -c ${cut}; kill -9 $$`, 'DumpFailed'],
    [
      'loses its connection',
      `"$REAL" "$@" 2>/dev/null | head -c ${cut}; echo 'pg_dump: error: server closed the connection unexpectedly' >&2; exit 1`,
      'ConnectionLost',
    ],
  ] as const;

  test.each(faults)('that %s leaves neither a manifest nor a volume', async (_, script, reason) => {
    const place = (await stand.fresh())[kind];
    const programs = await wrapPgDump(stand.folder, binDir, script);
    const task = taskOf({
      databases: { names: ['big'] },
      destinations: required(place),
      // Several volumes are finished before it dies.
      volumeBytes: 20 * 1024 * 1024,
      compression: { algorithm: 'none' },
    });
    let finished = 0;
    const ended = await runWith(stand.folder, task, secrets, [programs], {
      decorate: (storage) =>
        change(storage, {
          put: async (...args) => {
            const stored = await storage.put(...args);
            finished += 1;
            return stored;
          },
        }),
    });
    expect(ended).toMatchObject({ code: 75, verdict: { verdict: 'Failed', reason } });
    expect(ended.results).toMatchObject([{ name: 'big', outcome: 'failed', reason }]);
    expect(finished).toBeGreaterThanOrEqual(12);
    expect(await stand.keys(place)).toEqual([]);
  });
});

test('a dump that ends well and wrote nothing, or no archive, is no backup', async () => {
  for (const script of ['exit 0', 'echo hello; exit 0']) {
    const { directory } = await stand.fresh();
    const programs = await wrapPgDump(stand.folder, binDir, script);
    const ended = await runWith(stand.folder, taskOf({ destinations: required(directory) }), secrets, [programs]);
    expect(ended).toMatchObject({ code: 75, verdict: { verdict: 'Failed', reason: 'DumpEmpty' } });
    expect(await stand.keys(directory)).toEqual([]);
  }
});

describe('destinations', () => {
  test('one of three that is dead fails alone: with required the run is partly failed', async () => {
    const places = await stand.fresh();
    const dead = await startS3({ dir: join(stand.folder, 'dead'), versitygw: process.env['VERSITYGW'] });
    await dead.stop();
    const deadPlace = s3Location('dead', dead, 'some-bucket');
    for (const isRequired of [true, false]) {
      const other = await stand.fresh();
      const both = isRequired ? [places.sftp, places.directory] : [other.sftp, other.directory];
      const task = taskOf({
        waitForServerSeconds: 1,
        destinations: [...required(...both), { location: deadPlace, required: isRequired }],
      });
      const ended = await runWith(stand.folder, task, secrets, [binDir]);
      expect(ended).toMatchObject(
        isRequired
          ? { code: 3, verdict: { verdict: 'PartlyFailed', reason: 'DestinationFailed' } }
          : { code: 0, verdict: { verdict: 'Succeeded' } },
      );
      expect(ended.verdict.kind === 'backup' && ended.verdict.destinations).toMatchObject([
        { outcome: 'Stored' },
        { outcome: 'Stored' },
        { location: 'dead', outcome: 'Failed', reason: 'StorageUnreachable' },
      ]);
      for (const place of both) expect((await stand.keys(place)).at(-1)).toBe(key);
    }
  });

  test('all dead: nothing is dumped, and the reason is theirs', async () => {
    const missing = directoryLocation('missing', join(stand.folder, 'no-such-folder'));
    const marker = await wrapPgDump(stand.folder, binDir, 'echo dumped >&2; exec "$REAL" "$@"');
    const ended = await runWith(stand.folder, taskOf({ destinations: required(missing) }), secrets, [marker]);
    expect(ended).toMatchObject({ code: 66, verdict: { verdict: 'Failed', reason: 'StorageMissing' }, results: [] });
    expect(ended.log).not.toContain('server reached');
  });

  test('a place that is waited for: what the server holds is asked again afterwards', async () => {
    const { directory } = await stand.fresh();
    let lateMs = 0;
    const task = taskOf({ databases: { all: true, exclude: ['big'] }, destinations: required(directory) });
    try {
      const ended = await runWith(stand.folder, task, secrets, [binDir], {
        clock: { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + lateMs },
        decorate: (storage) =>
          change(storage, {
            async *get(...args) {
              if (lateMs === 0) {
                // The first look at the server, which goes on beside this, is to be over: a database made before it proves nothing.
                await delay(1000);
                await server.sql('CREATE DATABASE meanwhile');
              }
              lateMs = 60_000;
              yield* storage.get(...args);
            },
          }),
      });
      expect(ended.verdict.verdict).toBe('Succeeded');
      const names = ended.results.map((line) => line.kind === 'database' && line.name);
      expect(names).toEqual(expect.arrayContaining(['alpha', 'meanwhile']));
    } finally {
      await server.sql('DROP DATABASE IF EXISTS meanwhile');
    }
  });

  test('a store that dies in the middle drops out, and the others get everything', async () => {
    const { directory, sftp } = await stand.fresh();
    const mortal = await startS3({ dir: join(stand.folder, 'mortal'), versitygw: process.env['VERSITYGW'] });
    await mortal.createBucket('bucket');
    let stopping: Promise<void> | undefined;
    const task = taskOf({
      databases: { names: ['alpha', 'big'] },
      destinations: required(s3Location('mortal', mortal, 'bucket'), directory, sftp),
      compression: { algorithm: 'none' },
      waitForServerSeconds: 1,
    });
    const ended = await runWith(stand.folder, task, secrets, [binDir], {
      decorate: (storage, name) =>
        name === 'mortal'
          ? change(storage, {
              put: (volume, body, ...rest) =>
                storage.put(
                  volume,
                  onChunk(body, (bytes) => {
                    if (bytes > 50 * 1024 * 1024) stopping ??= mortal.stop();
                  }),
                  ...rest,
                ),
            })
          : storage,
    });
    await stopping;
    expect(ended).toMatchObject({ code: 3, verdict: { verdict: 'PartlyFailed', reason: 'DestinationFailed' } });
    expect(ended.verdict.kind === 'backup' && ended.verdict.destinations).toMatchObject([
      { location: 'mortal', outcome: 'Failed', reason: 'StorageUnreachable' },
      { outcome: 'Stored' },
      { outcome: 'Stored' },
    ]);
    expect(ended.log).toContain('could not clean up');
    expect(await stand.keys(directory)).toEqual(await stand.keys(sftp));
  });

  test('a store that acknowledges other bytes than were sent gets no manifest and keeps nothing', async () => {
    const { s3, directory } = await stand.fresh();
    const ended = await runWith(stand.folder, taskOf({ destinations: required(s3, directory) }), secrets, [binDir], {
      decorate: (storage, name) =>
        name === s3.name
          ? change(storage, {
              put: (volume, body, ...rest) =>
                storage.put(
                  volume,
                  (async function* loseTheLastByte() {
                    let held: Uint8Array | undefined;
                    for await (const chunk of body) {
                      if (held !== undefined) yield held;
                      held = chunk;
                    }
                    if (held !== undefined) yield held.subarray(0, -1);
                  })(),
                  ...rest,
                ),
            })
          : storage,
    });
    expect(ended).toMatchObject({ code: 3, verdict: { verdict: 'PartlyFailed', reason: 'DestinationFailed' } });
    expect(ended.verdict.kind === 'backup' && ended.verdict.destinations).toMatchObject([
      { location: s3.name, outcome: 'Failed', reason: 'StoredBytesDiffer' },
      { outcome: 'Stored' },
    ]);
    expect(await stand.keys(s3)).toEqual([]);
    expect((await stand.keys(directory)).at(-1)).toBe(key);
  });

  test('an abort in the middle of an upload leaves nothing anywhere and says so', async () => {
    const places = await stand.fresh();
    const locations = placeKinds.map((kind) => places[kind]);
    const stop = new AbortController();
    const task = taskOf({
      databases: { names: ['alpha', 'big'] },
      destinations: required(...locations),
      compression: { algorithm: 'none' },
      volumeBytes: 20 * 1024 * 1024,
    });
    const ended = await runWith(stand.folder, task, secrets, [binDir], {
      signal: stop.signal,
      decorate: (storage, name) =>
        name === places.sftp.name
          ? change(storage, {
              put: (volume, body, ...rest) =>
                storage.put(
                  volume,
                  onChunk(body, (bytes) => {
                    if (volume.endsWith('.0004') && bytes > 10 * 1024 * 1024) stop.abort(new Error('SIGTERM'));
                  }),
                  ...rest,
                ),
            })
          : storage,
    });
    expect(ended).toMatchObject({ code: 75, verdict: { verdict: 'Failed', reason: 'Aborted' } });
    for (const location of locations) expect(await stand.keys(location)).toEqual([]);
  });
});

describe('databases', () => {
  test('one of three that may not be read is named; the others are stored', async () => {
    const { directory, s3 } = await stand.fresh();
    await server.sql(`CREATE ROLE reader LOGIN PASSWORD 'reader-password'`);
    for (const name of ['alpha', 'gamma']) await server.sql('GRANT SELECT ON t TO reader', name);
    const task = taskOf({
      destinations: required(directory, s3),
      dump: { globals: false, rolePasswords: false, lockTimeoutSeconds: 10 },
    });
    const readerSecrets = { ...secrets, pg: { username: 'reader', password: 'reader-password' } };
    const ended = await runWith(stand.folder, task, readerSecrets, [binDir]);
    expect(ended).toMatchObject({ code: 3, verdict: { verdict: 'PartlyFailed', reason: 'DatabaseFailed' } });
    expect(ended.verdict.message).toContain('beta (PermissionDenied');
    expect(ended.results).toMatchObject([
      { name: 'alpha', outcome: 'stored' },
      { name: 'beta', outcome: 'failed', reason: 'PermissionDenied' },
      { name: 'gamma', outcome: 'stored' },
    ]);
    const keys = await stand.keys(directory);
    expect(keys.filter((name) => name.includes('beta'))).toEqual([]);
    expect(keys.length).toBe(3);
    expect(await stand.keys(s3)).toEqual(keys);
  });

  test('a named one that is missing fails; when it is the only one the run fails with that reason', async () => {
    const { directory } = await stand.fresh();
    const ended = await runWith(
      stand.folder,
      taskOf({ destinations: required(directory), databases: { names: ['alpha', 'nobody'] } }),
      secrets,
      [binDir],
    );
    expect(ended).toMatchObject({ code: 3, verdict: { reason: 'DatabaseFailed' } });
    expect(ended.results).toMatchObject([
      { name: 'alpha', outcome: 'stored' },
      { name: 'nobody', outcome: 'failed', reason: 'DatabaseMissing' },
    ]);
    const alone = await stand.fresh();
    const failed = await runWith(
      stand.folder,
      taskOf({ destinations: required(alone.directory), databases: { names: ['nobody'] } }),
      secrets,
      [binDir],
    );
    expect(failed).toMatchObject({ code: 66, verdict: { verdict: 'Failed', reason: 'DatabaseMissing' } });
    expect(await stand.keys(alone.directory)).toEqual([]);
  });

  test('one that was found by all and vanished before its turn is skipped', async () => {
    const { directory } = await stand.fresh();
    await server.sql('CREATE DATABASE zz_short_lived');
    const task = taskOf({ databases: { all: true, exclude: ['big'] }, destinations: required(directory) });
    let dropped: Promise<unknown> | undefined;
    const ended = await runWith(stand.folder, task, secrets, [binDir], {
      decorate: (storage) =>
        change(storage, {
          put: async (...args) => {
            dropped ??= server.sql('DROP DATABASE zz_short_lived WITH (FORCE)');
            await dropped;
            return storage.put(...args);
          },
        }),
    });
    expect(ended).toMatchObject({ code: 0, verdict: { verdict: 'Succeeded' } });
    expect(ended.results.at(-1)).toMatchObject({ name: 'zz_short_lived', outcome: 'skipped' });
  });

  test('globals that fail make the run partly failed, and the message names them', async () => {
    const { directory } = await stand.fresh();
    const task = taskOf({
      destinations: required(directory),
      databases: { names: ['alpha'] },
      dump: { globals: true, rolePasswords: true, lockTimeoutSeconds: 10 },
    });
    await server.sql(`CREATE ROLE modest LOGIN PASSWORD 'modest-password'`);
    await server.sql('GRANT SELECT ON t TO modest', 'alpha');
    const modest = { ...secrets, pg: { username: 'modest', password: 'modest-password' } };
    const ended = await runWith(stand.folder, task, modest, [binDir]);
    expect(ended).toMatchObject({ code: 3, verdict: { verdict: 'PartlyFailed', reason: 'DatabaseFailed' } });
    expect(ended.verdict.message).toContain('(globals)');
    expect((await stand.keys(directory)).filter((name) => name.includes('globals'))).toEqual([]);
  });

  test('a server that goes away in the middle is no success, and the rest is given up', async () => {
    const own = await startPostgres({ binDir, dir: join(stand.folder, 'mortal-pg') });
    for (const name of ['aa', 'bb', 'cc']) {
      await own.sql(`CREATE DATABASE ${name}`);
      await own.sql(`CREATE TABLE t AS SELECT i, repeat(md5(i::text), 30) AS m FROM generate_series(1, 60000) i`, name);
    }
    const { directory } = await stand.fresh();
    let stopping: Promise<void> | undefined;
    const task = backupTaskOf(own, {
      databases: { names: ['aa', 'bb', 'cc'] },
      destinations: required(directory),
      waitForServerSeconds: 1,
      compression: { algorithm: 'none' },
    });
    const ended = await runWith(stand.folder, task, { ...stand.secrets, ...pgSecret(own) }, [binDir], {
      decorate: (storage) =>
        change(storage, {
          put: (volume, body, ...rest) =>
            storage.put(
              volume,
              onChunk(body, async () => {
                if (!volume.includes('/bb.')) return;
                stopping ??= own.stop();
                await stopping;
              }),
              ...rest,
            ),
        }),
    });
    await stopping;
    expect(ended).toMatchObject({ code: 3, verdict: { verdict: 'PartlyFailed', reason: 'DatabaseFailed' } });
    expect(ended.results).toMatchObject([
      { name: 'aa', outcome: 'stored' },
      { name: 'bb', outcome: 'failed', reason: 'ConnectionLost' },
      { name: 'cc', outcome: 'failed', reason: 'ServerUnreachable' },
      { name: '(globals)', outcome: 'failed', reason: 'ServerUnreachable' },
    ]);
    expect((await stand.keys(directory)).length).toBe(2);
  });
});

test('a dump that is tried again where nothing can be deleted gets a name of its own', async () => {
  const { s3 } = await stand.fresh();
  const marker = join(stand.folder, 'broke-once');
  const script = `case "$PGDATABASE $*" in *beta*) if [ ! -e ${marker} ]; then touch ${marker}; "$REAL" "$@" | head -c 400000; echo 'pg_dump: error: server closed the connection unexpectedly' >&2; exit 1; fi;; esac; exec "$REAL" "$@"`;
  const programs = await wrapPgDump(stand.folder, binDir, script);
  const task = taskOf({
    destinations: required({ ...s3, appendOnly: true }),
    databases: { names: ['alpha', 'beta'] },
    compression: { algorithm: 'none' },
    volumeBytes: 100_000,
    databaseRetries: 1,
  });
  const ended = await runWith(stand.folder, task, secrets, [programs]);
  expect(ended).toMatchObject({ code: 0, verdict: { verdict: 'Succeeded' } });
  const storage = await stand.open(s3);
  const { manifest } = (await findCopy(storage, key, never)) ?? {};
  await storage.close();
  const named = manifest?.databases.flatMap(({ artifacts }) => artifacts.flatMap(({ volumes }) => volumes));
  const attempt = `shop/nightly/nightly-20260101t030000z/${attempts.first}`;
  expect(named?.map((volume) => volume.key)).toContain(`${attempt}/beta~2.dump`);
  const keys = await stand.keys(s3);
  for (const volume of named ?? []) expect(keys).toContain(volume.key);
  expect(keys).toContain(`${attempt}/beta.dump`);
});

describe('a second try', () => {
  test('adopts what the first one stored and dumps nothing again', async () => {
    const { directory, s3 } = await stand.fresh();
    const task = taskOf({ destinations: required(directory, s3) });
    const first = await runWith(stand.folder, task, secrets, [binDir]);
    const keys = await stand.keys(s3);
    const second = await runWith(stand.folder, task, secrets, [], { podUid: podUids.second });
    expect(second.code).toBe(0);
    const { verdict } = first;
    if (verdict.kind !== 'backup') throw new Error('not a backup');
    // What it found by the listing it did not read again.
    const destinations = verdict.destinations.map(({ readBackBytes: _read, ...destination }) => destination);
    expect(second.verdict).toEqual({ ...verdict, destinations, completedAt: expect.any(String) as string });
    expect(await stand.keys(s3)).toEqual(keys);
    expect(second.results.map((line) => line.kind === 'database' && line.name)).toEqual(['alpha', 'beta', 'gamma']);
  });

  test.each(placeKinds)('does not adopt a manifest at %s with nothing behind it, but dumps again', async (kind) => {
    const place = (await stand.fresh())[kind];
    const task = taskOf({ destinations: required(place) });
    await runWith(stand.folder, task, secrets, [binDir]);
    const storage = await stand.open(place);
    const volumes = (await stand.keys(place)).filter((found) => found !== key);
    for (const volume of volumes) await storage.delete(volume, never);
    await storage.close();
    const second = await runWith(stand.folder, task, secrets, [binDir], { podUid: podUids.second });
    expect(second.verdict).toMatchObject({ verdict: 'Succeeded', attempt: attempts.second });
    expect(await stand.keys(place)).toEqual(
      [...volumes.map((volume) => volume.replace(attempts.first, attempts.second)), key].toSorted(),
    );
  });

  test('neither adopts nor touches what lost one of its volumes; a whole copy elsewhere counts', async () => {
    const { directory, s3 } = await stand.fresh();
    await runWith(stand.folder, taskOf({ destinations: required(directory, s3) }), secrets, [binDir]);
    const storage = await stand.open(directory);
    const [lost = '', ...kept] = (await stand.keys(directory)).filter((found) => found !== key);
    await storage.delete(lost, never);
    await storage.close();
    for (const [destinations, outcomes] of [
      [required(directory), ['Failed']],
      [required(directory, s3), ['Failed', 'Stored']],
    ] as const) {
      const ended = await runWith(stand.folder, taskOf({ destinations }), secrets, [binDir], {
        podUid: podUids.second,
      });
      const { verdict } = ended;
      expect(verdict.kind === 'backup' && verdict.destinations.map(({ outcome }) => outcome)).toEqual(outcomes);
      expect(verdict.kind === 'backup' && verdict.destinations[0]).toMatchObject({
        reason: 'StoredBytesDiffer',
        message: `${lost} was stored, but the place does not list it`,
      });
      expect(await stand.keys(directory)).toEqual([...kept, key].toSorted());
    }
  });

  test('leaves a place without the backup to repair', async () => {
    const { directory, s3, sftp } = await stand.fresh();
    await runWith(stand.folder, taskOf({ destinations: required(directory) }), secrets, [binDir]);
    const task = taskOf({ destinations: [...required(s3, directory), { location: sftp, required: false }] });
    const ended = await runWith(stand.folder, task, secrets, [], { podUid: podUids.second });
    expect(ended).toMatchObject({ code: 3, verdict: { verdict: 'PartlyFailed', reason: 'DestinationFailed' } });
    expect(ended.verdict.kind === 'backup' && ended.verdict.destinations).toMatchObject([
      { outcome: 'Failed', reason: 'DestinationFailed' },
      { outcome: 'Stored' },
      { outcome: 'Failed', reason: 'DestinationFailed' },
    ]);
    expect(await stand.keys(s3)).toEqual([]);
  });

  test.each(placeKinds)('never writes over a backup with another uid at %s', async (kind) => {
    const place = (await stand.fresh())[kind];
    const storage = await stand.open(place);
    const foreign = printManifest(
      manifestOf('nightly-20260101t030000z', { backup: { id: 'nightly-20260101t030000z', uid: 'other' } }),
    );
    await storage.put(key, new WholeBytes(Buffer.from(foreign)), {}, never);
    const ended = await runWith(stand.folder, taskOf({ destinations: required(place) }), secrets, [binDir]);
    expect(ended).toMatchObject({ code: 73, verdict: { verdict: 'Failed', reason: 'AlreadyStored' } });
    expect(await stand.keys(place)).toEqual([key]);
    await storage.close();
  });
});
