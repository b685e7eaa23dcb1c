import { chmod, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { manifestKey } from '../../src/domain/layout.ts';
import type { RestoreTask, TaskLocation } from '../../src/domain/task.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { describeSchema } from './nasty-database.ts';
import { listAll, restoreTaskOf, sha256OfManifest } from './restore-task-of.ts';
import { checksumTables } from './restore-with-stock-tools.ts';
import {
  attempts,
  backupTaskOf,
  directoryLocation,
  pgSecret,
  runWith,
  type RunEnd,
  type TestSecrets,
} from './run-with.ts';
import { required } from './stand.ts';

const binDir = (await listBinDirs(process.env['POSTGRES_BINDIRS']))[0] ?? '';
const key = manifestKey('shop', 'nightly', 'nightly-20260101t030000z');

let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
let server: Postgres;
let good: TaskLocation;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  // The server runs as another user below it.
  await chmod(folder.path, 0o755);
  server = await startPostgres({ binDir, dir: join(folder.path, 'pg') });
  await server.sql(`CREATE ROLE plain LOGIN CREATEDB PASSWORD 'plain-password';
                    CREATE ROLE nobody LOGIN PASSWORD 'nobody-password'; CREATE ROLE gone`);
  for (const name of ['shop', 'stock']) {
    await server.sql(`CREATE DATABASE ${name}`);
    await server.sql(
      `CREATE TABLE t (i int PRIMARY KEY, m text); INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 5000) i;
       CREATE TABLE owned (i int); ALTER TABLE owned OWNER TO gone`,
      name,
    );
  }
  good = await store({});
  for (const name of ['shop', 'stock']) await server.sql(`INSERT INTO t VALUES (0, 'since the backup')`, name);
});
afterAll(async () => {
  await server?.stop();
  await folder?.remove();
});

let locations = 0;
/** A backup of both databases in a folder of its own. */
async function store(changes: Parameters<typeof backupTaskOf>[1]): Promise<TaskLocation> {
  locations += 1;
  const location = directoryLocation(`place-${locations}`, join(folder.path, `place-${locations}`));
  await mkdir(join(folder.path, `place-${locations}`));
  const task = backupTaskOf(server, {
    databases: { names: ['shop', 'stock'] },
    destinations: required(location),
    volumeBytes: 64 * 1024,
    ...changes,
  });
  const ended = await runWith(folder.path, task, pgSecret(server), [binDir]);
  expect(ended.verdict.verdict).toBe('Succeeded');
  return location;
}

function run(
  changes: Partial<RestoreTask>,
  copies: readonly TaskLocation[] = [good],
  secrets: TestSecrets = pgSecret(server),
  more: Parameters<typeof runWith>[4] = {},
): Promise<RunEnd> {
  return runWith(folder.path, restoreTaskOf(server, copies, changes), secrets, [binDir], more);
}

const both = () => ({
  ...restoreTaskOf(server, []).target,
  databases: [
    { source: 'shop', target: 'shop' },
    { source: 'stock', target: 'stock' },
  ],
});
const options = { noOwner: false, noPrivileges: false, globals: false, analyze: true };
const check = (sql: string, value: string) => ({ sql, operator: 'Equal', value }) as const;

/** Everything that a restore must not touch. */
async function lookAtAll(): Promise<unknown> {
  const looks: Record<string, unknown> = { databases: await listAll(server) };
  for (const name of ['shop', 'stock']) {
    const [row] = await server.sql(`SELECT oid, datacl FROM pg_database WHERE datname = '${name}'`);
    looks[name] = [row, await describeSchema(server, name), await checksumTables(server, name)];
  }
  return looks;
}

let before: unknown;
beforeEach(async () => {
  before = await lookAtAll();
});

describe('a restore that fails leaves everything as it was', () => {
  const volumes = async (location: TaskLocation): Promise<readonly string[]> => {
    const root = join(location.place.directory?.path ?? '', key, '..', attempts.first);
    return (await readdir(root)).sort().map((name) => join(root, name));
  };

  const damage = async (location: TaskLocation, harm: 'flip' | 'cut' | 'lose' | 'swap'): Promise<void> => {
    const all = await volumes(location);
    const path = all.filter((name) => name.includes('shop.dump')).at(-1) ?? '';
    if (harm === 'flip') {
      const bytes = await readFile(path);
      const at = bytes.length - 9;
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      await writeFile(path, bytes);
    }
    if (harm === 'cut') await truncate(path, (await stat(path)).size - 1);
    if (harm === 'lose') await rm(path);
    if (harm === 'swap') {
      const other = all.filter((name) => name.includes('stock.dump')).at(-1) ?? '';
      await writeFile(path, await readFile(other));
    }
  };

  test('when a stored volume was changed, cut short, lost, or swapped for another', async () => {
    for (const [harm, reason] of [
      ['flip', 'BackupDamaged'],
      ['cut', 'BackupDamaged'],
      ['lose', 'ObjectMissing'],
      ['swap', 'BackupDamaged'],
    ] as const) {
      for (const jobs of [1, 2]) {
        const location = await store({ compression: { algorithm: harm === 'swap' ? 'none' : 'zstd' } });
        before = await lookAtAll();
        await damage(location, harm);
        const ended = await run({ options: { ...options, jobs } }, [location]);
        expect([harm, jobs, ended.verdict]).toMatchObject([
          harm,
          jobs,
          { verdict: 'Failed', reason, target: 'Untouched' },
        ]);
        expect(ended.results).toMatchObject([{ kind: 'restored', target: 'shop', outcome: 'Untouched', reason }]);
        expect(await lookAtAll()).toEqual(before);
      }
    }
  });

  test('and takes the next copy, if there is one, when the first turns out to be damaged', async () => {
    const [first, second, third] = [await store({}), await store({}), await store({})];
    await damage(first, 'flip');
    await damage(second, 'lose');
    await server.sql(`INSERT INTO t VALUES (-1, 'since these backups')`, 'shop');
    before = await lookAtAll();
    const two = await run({}, [first, second]);
    expect(two.verdict).toMatchObject({ verdict: 'Failed', reason: 'BackupDamaged', target: 'Untouched' });
    expect(two.results).toMatchObject([{ outcome: 'Untouched', reason: 'BackupDamaged' }]);
    expect(await lookAtAll()).toEqual(before);

    const three = await run({ keepPrevious: true }, [first, second, third]);
    expect(three.verdict).toMatchObject({ verdict: 'Succeeded', target: 'Restored', source: { location: third.name } });
    expect(three.results).toMatchObject([{ kind: 'restored', outcome: 'Restored' }]);
    const [result] = three.results;
    const { notes = [], previous = '' } = result?.kind === 'restored' ? result : {};
    expect(notes[0]).toContain(`the copy in ${first.name} could not be used: BackupDamaged`);
    expect(notes[1]).toContain(`the copy in ${second.name} could not be used: ObjectMissing`);
    expect(await server.sql('SELECT 1 FROM t WHERE i = -1', 'shop')).toEqual([]);
    // In place as well, where the load is one transaction.
    await server.sql('CREATE DATABASE empty');
    const target = { ...restoreTaskOf(server, []).target, databases: [{ source: 'shop', target: 'empty' }] };
    const inPlace = await run({ mode: 'InPlace', target }, [first, third]);
    expect(inPlace.verdict).toMatchObject({ verdict: 'Succeeded', source: { location: third.name } });
    expect(await checksumTables(server, 'empty')).toEqual(await checksumTables(server, 'shop'));
    await server.sql('DROP DATABASE empty');
    // As it was for the cases that follow.
    await server.sql('DROP DATABASE shop');
    await server.sql(`ALTER DATABASE ${previous} RENAME TO shop`);
    expect(await lookAtAll()).toEqual(before);
    await server.sql('DELETE FROM t WHERE i = -1', 'shop');
  });

  test('when the manifest is lost, damaged, of a newer format, of another uid or other bytes', async () => {
    const path = join(good.place.directory?.path ?? '', key);
    const text = await readFile(path, 'utf8');
    const source = restoreTaskOf(server, [good]).source.backup;
    if (source === undefined) throw new Error('no backup');
    const [copy] = source.copies;
    if (copy === undefined) throw new Error('no copy');
    const sha256 = await sha256OfManifest(good);
    try {
      await writeFile(path, text.replace('"format": 1', '"format": 2'));
      expect((await run({})).verdict).toMatchObject({ reason: 'ManifestInvalid', target: 'Untouched' });
      await writeFile(path, text.slice(0, -10));
      expect((await run({})).verdict).toMatchObject({ reason: 'ManifestInvalid' });
      await writeFile(path, `${text} `);
      const pinned = { ...source, copies: [{ ...copy, manifestSha256: sha256 }] };
      expect((await run({ source: { backup: pinned } })).verdict).toMatchObject({ reason: 'ManifestInvalid' });
      await rm(path);
      expect((await run({})).verdict).toMatchObject({ reason: 'BackupNotUsable' });
    } finally {
      await writeFile(path, text);
    }
    expect((await run({ source: { backup: { ...source, uid: 'another' } } })).verdict).toMatchObject({
      reason: 'ManifestInvalid',
    });
    expect(await lookAtAll()).toEqual(before);
  });

  test('when a database is not in the backup, which is told with what is', async () => {
    const { target } = restoreTaskOf(server, []);
    const ended = await run({ target: { ...target, databases: [{ source: 'shpo', target: 'shop' }] } });
    expect(ended.verdict).toMatchObject({ reason: 'BackupMissing' });
    expect(ended.verdict.message).toContain('shop, stock');
    expect(await lookAtAll()).toEqual(before);
  });

  test('when a check does not hold or fails, or a statement of afterSql fails, in any of several databases', async () => {
    const target = both();
    const failed = await run({ target, checks: [{ database: 'stock', ...check('SELECT count(*) FROM t', '5001') }] });
    expect(failed).toMatchObject({ code: 65, verdict: { reason: 'CheckFailed', target: 'Untouched' } });
    expect(failed.verdict.message).toContain('gave 5000, wanted equal to 5001');
    expect(failed.results).toMatchObject([
      { target: 'shop', outcome: 'Untouched' },
      { target: 'stock', outcome: 'Untouched', reason: 'CheckFailed' },
    ]);
    expect((await run({ checks: [check('SELECT nothing', '1')] })).verdict).toMatchObject({ reason: 'SqlFailed' });
    const writing = await run({ checks: [check("INSERT INTO t VALUES (-1, '') RETURNING 1", '1')] });
    expect(writing.verdict).toMatchObject({ reason: 'SqlFailed' });
    const after = await run({ afterSql: ['UPDATE t SET m = 0; SELECT 1/0'] });
    expect(after.verdict).toMatchObject({ reason: 'SqlFailed' });
    expect(after.verdict.message).toContain('division by zero');
    const lost = await run({ target, checks: [check('SELECT 1', '1')] });
    expect(lost.verdict).toMatchObject({ reason: 'SpecInvalid' });
    expect(await lookAtAll()).toEqual(before);
  });

  test('when the user may not: create databases, or act for the owner', async () => {
    const nobody = await run({}, [good], { pg: { username: 'nobody', password: 'nobody-password' } });
    expect(nobody).toMatchObject({ code: 77, verdict: { reason: 'PermissionDenied' } });
    expect(nobody.verdict.message).toContain('may not create databases');
    const plain = await run({}, [good], { pg: { username: 'plain', password: 'plain-password' } });
    expect(plain.verdict).toMatchObject({ reason: 'PermissionDenied' });
    expect(plain.verdict.message).toContain('no member of "admin"');
    expect(await lookAtAll()).toEqual(before);
  });

  test('when a role or an extension of the backup is not on the server', async () => {
    for (const name of ['shop', 'stock']) await server.sql('ALTER TABLE owned OWNER TO admin', name);
    await server.sql('DROP ROLE gone');
    before = await lookAtAll();
    const ended = await run({});
    expect(ended).toMatchObject({ code: 66, verdict: { reason: 'RoleMissing' } });
    expect(ended.verdict.message).toContain('"gone"');
    expect(await lookAtAll()).toEqual(before);
    // Globals bring it back, and it goes again with the restore that fails.
    const globals = await run({ options: { ...options, globals: true }, checks: [check('SELECT 1', '2')] });
    expect(globals.verdict).toMatchObject({ reason: 'CheckFailed' });
    expect(globals.results.some(({ kind }) => kind === 'roles')).toBe(false);
    expect(await server.sql(`SELECT 1 AS one FROM pg_roles WHERE rolname = 'gone'`)).toEqual([]);
    expect(await lookAtAll()).toEqual(before);
    await server.sql('CREATE ROLE gone');
    for (const name of ['shop', 'stock']) await server.sql('ALTER TABLE owned OWNER TO gone', name);
  });

  test('when it is stopped in the middle', async () => {
    const stop = new AbortController();
    const running = run({ checks: [check('SELECT pg_sleep(60)', '')] }, [good], pgSecret(server), {
      signal: stop.signal,
    });
    await until(sleeps);
    stop.abort();
    const ended = await running;
    expect(ended).toMatchObject({ code: 75, verdict: { reason: 'Aborted', target: 'Untouched' } });
    expect(ended.verdict).not.toHaveProperty('unsettled');
    expect(await lookAtAll()).toEqual(before);
  });

  test('when another restore works on the same database', async () => {
    const first = run({ checks: [check('SELECT pg_sleep(120)', '')] });
    await until(sleeps);
    const second = await run({ request: { name: 'other', uid: 'aaaaaaaa-1234-4000-8000-000000000002' } });
    expect(second).toMatchObject({ code: 75, verdict: { reason: 'TargetBusy' } });
    // A second try of the same request ends the first one, which then cannot swap any more.
    const third = await run({ checks: [check('SELECT 1', '2')] }, [good], pgSecret(server), {
      podUid: '22222222-0000-4000-8000-000000000000',
    });
    expect(third.verdict).toMatchObject({ reason: 'CheckFailed' });
    expect((await first).verdict).toMatchObject({ verdict: 'Failed', target: 'Untouched' });
    expect(await lookAtAll()).toEqual(before);
  });
});

describe('a restore that succeeds', () => {
  test('takes the next copy when one cannot be reached or has a damaged manifest', async () => {
    const damaged = await store({});
    await writeFile(join(damaged.place.directory?.path ?? '', key), '{}');
    const away = directoryLocation('away', join(folder.path, 'not-there'));
    const ended = await run({ mode: 'Create', target: targetOf('shop', 'copy') }, [away, damaged, good]);
    expect(ended.verdict).toMatchObject({ verdict: 'Succeeded', source: { location: good.name } });
    await server.sql('DROP DATABASE copy');
    expect(await listAll(server)).toEqual((before as { databases: unknown }).databases);
  });

  test('swaps under the feet of clients that come back at once, and masks before anybody sees it', async () => {
    const state = { stopped: false, answers: new Set<string>(), odd: [] as string[] };
    const { socketDir: host, port, user, password } = server;
    const lives = Array.from({ length: 8 }, async () => {
      while (!state.stopped) {
        const client = new Client({ host, port, user, password, database: 'shop' });
        client.on('error', () => {});
        try {
          await client.connect();
          while (!state.stopped) {
            const { rows } = await client.query<{ a: string }>(
              `SELECT count(*) || ' ' || max(m) AS a FROM public.t WHERE i < 2`,
            );
            state.answers.add(rows[0]?.a ?? 'none');
          }
        } catch (error) {
          const { message } = error as Error;
          if (!/terminat|not queryable|does not exist|ECONNRESET|EPIPE/.test(message)) state.odd.push(message);
        } finally {
          await client.end().catch(() => {});
        }
      }
    });
    const ended = await run({
      keepPrevious: true,
      afterSql: [`UPDATE t SET m = 'masked'`],
      checks: [check(`SELECT count(*) FROM t WHERE m = 'masked';`, '5000.0')],
    });
    await until(() => state.answers.size >= 2);
    state.stopped = true;
    await Promise.all(lives);
    expect(ended.verdict).toMatchObject({ verdict: 'Succeeded', target: 'Restored' });
    expect(state.odd).toEqual([]);
    expect([...state.answers]).toEqual(['2 since the backup', '1 masked']);
    const [line] = ended.results;
    const previous = line?.kind === 'restored' ? (line.previous ?? '') : '';
    expect(previous).toMatch(/^shop_\d{8}t\d{6}z$/);
    expect(await checksumTables(server, previous)).toEqual((before as { shop: unknown[] }).shop[2]);
    const [row] = await server.sql(
      `SELECT shobj_description(oid, 'pg_database') AS c, datacl FROM pg_database WHERE datname = 'shop'`,
    );
    expect(row).toMatchObject({ c: null });
    await server.sql('DROP DATABASE shop WITH (FORCE)');
    await server.sql(`ALTER DATABASE ${previous} RENAME TO shop`);
  });

  test('does nothing when the source is the one that was restored last', async () => {
    const { source } = (await run({ mode: 'Create', target: targetOf('shop', 'copy') })).verdict as {
      source: RestoreTask['unlessRestored'];
    };
    await server.sql('DROP DATABASE copy');
    const ended = await run({ unlessRestored: source });
    expect(ended.verdict).toMatchObject({ verdict: 'Succeeded', unchanged: true, target: 'Untouched' });
    expect(await lookAtAll()).toEqual(before);
  });

  test('puts a selected table back in place, and with a failing one nothing', async () => {
    const select = { tables: ['public.t'], schemaOnly: false, dataOnly: false };
    const conflict = await run({ mode: 'InPlace', select });
    expect(conflict).toMatchObject({ code: 73, verdict: { reason: 'ObjectConflict', target: 'Untouched' } });
    expect(await lookAtAll()).toEqual(before);
    const cleaned = await run({
      mode: 'InPlace',
      select,
      clean: true,
      checks: [check('SELECT count(*) FROM t', '5000')],
    });
    expect(cleaned.verdict).toMatchObject({ verdict: 'Succeeded', target: 'Restored' });
    const [row] = await server.sql('SELECT count(*)::int AS rows FROM t', 'shop');
    expect(row).toEqual({ rows: 5000 });
    await server.sql(`INSERT INTO t VALUES (0, 'since the backup')`, 'shop');
  });

  test('works for a user who is no superuser, as owner of the target', async () => {
    await server.sql(`CREATE DATABASE mine OWNER plain`);
    await server.sql(`ALTER DATABASE mine SET search_path TO 'a b', public;
                      REVOKE CONNECT ON DATABASE mine FROM PUBLIC; GRANT CONNECT ON DATABASE mine TO nobody;
                      COMMENT ON DATABASE mine IS 'my own'`);
    const schema = await describeSchema(server, 'mine');
    const ended = await run(
      { target: targetOf('shop', 'mine'), options: { ...options, noOwner: true, noPrivileges: true } },
      [good],
      { pg: { username: 'plain', password: 'plain-password' } },
    );
    expect([ended.verdict.message, ended.verdict]).toMatchObject([
      undefined,
      { verdict: 'Succeeded', target: 'Restored' },
    ]);
    const head = (text: string) => text.split('\n').filter((line) => /DATABASE/.test(line));
    expect(head(await describeSchema(server, 'mine'))).toEqual(head(schema));
    expect(await server.sql('SELECT count(*)::int AS rows FROM public.t', 'mine')).toEqual([{ rows: 5000 }]);
    await server.sql('DROP DATABASE mine');
  });
});

function targetOf(source: string, target: string): RestoreTask['target'] {
  return { ...restoreTaskOf(server, []).target, databases: [{ source, target }] };
}

/** A check sleeps on the server. */
async function sleeps(): Promise<boolean> {
  return (await server.sql(`SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'`)).length > 0;
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; !(await what()); waited += 20) {
    if (waited > 60_000) throw new Error('it never came');
    await delay(20);
  }
}
