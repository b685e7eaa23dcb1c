import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BackupTask } from '../../src/domain/task.ts';
import type { RunOptions } from '../../src/runner/run.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { keptStatement } from '../../src/postgres/kept-database.ts';
import { startTcpProxy, type TcpProxy } from '../faults/tcp-proxy.ts';
import { makeAuthority } from '../servers/certificates.ts';
import { pgbouncer, startPgbouncer } from '../servers/pgbouncer.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { backupTaskOf, directoryLocation, pgSecret, runWith, type RunEnd } from './run-with.ts';
import { required } from './stand.ts';

// Debian's speaks TLS; not every build does.
const binDir = (await listBinDirs(process.env['POSTGRES_BINDIRS']))[0] ?? '';

let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
let server: Postgres;
let ca = '';
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  await chmod(folder.path, 0o755);
  const authority = await makeAuthority(join(folder.path, 'ca'));
  ({ ca } = authority);
  const tls = await authority.issue({ host: '127.0.0.1' });
  server = await startPostgres({ binDir, dir: join(folder.path, 'pg'), tls });
  for (const name of ['alpha', 'beta', 'gamma']) {
    await server.sql(`CREATE DATABASE ${name}`);
    await server.sql(
      'CREATE TABLE t AS SELECT i, repeat(md5(i::text), 30) AS m FROM generate_series(1, 60000) i',
      name,
    );
  }
});
afterAll(async () => {
  await server?.stop();
  await folder?.remove();
});

/**
 * Something that happens once, while the first bytes of a database's dump are being stored; `reading` goes on meanwhile, and `held`
 * stops until it has happened. DROP DATABASE without FORCE waits for every session of the server to hear of it, and one that cannot
 * send does not listen (ProcSignalBarrier, PostgreSQL 15): it would wait for ever for a dump that is held.
 */
function during(
  database: string,
  happens: () => unknown,
  dump: 'reading' | 'held' = 'reading',
): Pick<RunOptions, 'decorate'> {
  let happened: Promise<unknown> | undefined;
  return {
    decorate: (storage: Storage) =>
      new Proxy(storage, {
        get: (real, name: keyof Storage) => {
          if (name !== 'put') {
            const member = real[name];
            return typeof member === 'function' ? member.bind(real) : member;
          }
          const put: Storage['put'] = (key, body, ...rest) => {
            if (!key.includes(`/${database}.`)) return real.put(key, body, ...rest);
            const tapped = (async function* tap() {
              const kept: Buffer[] = [];
              for await (const chunk of body) {
                happened ??= Promise.resolve(happens());
                if (dump === 'held') await happened;
                kept.push(Buffer.from(chunk));
              }
              await happened;
              yield* kept;
            })();
            return real.put(key, tapped, ...rest);
          };
          return put;
        },
      }),
  };
}

let places = 0;
async function backUp(
  changes: Partial<BackupTask>,
  options: Pick<RunOptions, 'decorate'> = {},
  at: Pick<Postgres, 'host' | 'port'> = server,
  as: Pick<Postgres, 'user' | 'password'> = server,
): Promise<RunEnd> {
  places += 1;
  const path = join(folder.path, `place-${places}`);
  await mkdir(path);
  const task = backupTaskOf(at, {
    destinations: required(directoryLocation('place', path)),
    dump: { globals: false, rolePasswords: false, lockTimeoutSeconds: 10 },
    ...changes,
  });
  const secrets = { ...pgSecret(as), ca: { 'ca.crt': ca } };
  return runWith(folder.path, task, secrets, [binDir], options);
}
const notesOf = ({ verdict }: RunEnd) => (verdict.kind === 'backup' ? (verdict.notes ?? []) : []);
const outcomes = ({ results }: RunEnd) =>
  Object.fromEntries(results.flatMap((line) => (line.kind === 'database' ? [[line.name, line.outcome]] : [])));

describe('a database that cannot be reached', () => {
  test('and is gone by the server’s own list is skipped, which the verdict tells', async () => {
    await server.sql('CREATE DATABASE zulu');
    const dropped = during('alpha', () => server.sql('DROP DATABASE zulu'));
    const ended = await backUp({ databases: { all: true, exclude: ['postgres'] } }, dropped);
    expect(ended.code).toBe(0);
    expect(outcomes(ended)).toEqual({ alpha: 'stored', beta: 'stored', gamma: 'stored', zulu: 'skipped' });
    expect(notesOf(ended)).toEqual([
      { reason: 'DatabaseSkipped', count: 1, message: 'database "zulu": it vanished after it was found' },
    ]);
  });

  test('because it was dropped by force in the middle of its dump is skipped, too', async () => {
    await server.sql('CREATE DATABASE yankee TEMPLATE alpha');
    const dropped = during('yankee', () => server.sql('DROP DATABASE yankee WITH (FORCE)'), 'held');
    const ended = await backUp({ databases: { all: true, exclude: ['postgres', 'beta', 'gamma'] } }, dropped);
    expect(ended.code).toBe(0);
    expect(outcomes(ended)).toEqual({ alpha: 'stored', yankee: 'skipped' });
  });

  test('because its name is not UTF-8 has failed, with what to do', async () => {
    const encoding = "ENCODING 'WIN1251' TEMPLATE template0 LOCALE 'C'";
    await server.sql(`CREATE DATABASE cyrillic ${encoding}`);
    await server.sql('CREATE DATABASE "Имя"', 'cyrillic');
    try {
      const ended = await backUp({ databases: { all: true, exclude: ['postgres', 'beta', 'gamma', 'cyrillic'] } });
      expect(ended).toMatchObject({ code: 3, verdict: { verdict: 'PartlyFailed', reason: 'DatabaseFailed' } });
      expect(Object.values(outcomes(ended)).sort()).toEqual(['failed', 'stored']);
      expect(ended.verdict.message).toContain('is not UTF-8');
      expect(ended.verdict.message).toContain('RENAME');
    } finally {
      await server.sql('DROP DATABASE "Имя"', 'cyrillic');
      await server.sql('DROP DATABASE cyrillic');
    }
  });

  test.skipIf(pgbouncer === undefined)('because a pooler has no way to it has failed: it is there', async () => {
    const route = `host=${server.host} port=${server.port}`;
    const databases = { postgres: route, alpha: route, gamma: route };
    const program = await startPgbouncer({ dir: join(folder.path, 'routes'), server, poolMode: 'session', databases });
    try {
      const at = { host: '127.0.0.1', port: program.port };
      const ended = await backUp({ databases: { all: true, exclude: ['postgres'] } }, {}, at);
      expect(ended).toMatchObject({ code: 3, verdict: { verdict: 'PartlyFailed', reason: 'DatabaseFailed' } });
      expect(outcomes(ended)).toEqual({ alpha: 'stored', beta: 'failed', gamma: 'stored' });
      expect(ended.verdict.message).toContain('the server has it');
    } finally {
      await program.stop();
    }
  });

  test('under its name any more is dumped under the one that it has now, or told', async () => {
    await server.sql('CREATE DATABASE xray TEMPLATE beta');
    const renamed = during('alpha', () => server.sql('ALTER DATABASE xray RENAME TO whiskey'));
    const ended = await backUp({ databases: { all: true, exclude: ['postgres'] } }, renamed);
    expect(ended.code).toBe(0);
    expect(outcomes(ended)).toEqual({ alpha: 'stored', beta: 'stored', gamma: 'stored', whiskey: 'stored' });
    expect(notesOf(ended)).toMatchObject([
      { reason: 'DatabaseRenamed', message: expect.stringContaining('"xray"') as string },
    ]);

    const hidden = during('alpha', () => server.sql('ALTER DATABASE whiskey RENAME TO victor'));
    const second = await backUp({ databases: { all: true, exclude: ['postgres', 'victor'] } }, hidden);
    expect(second.code).toBe(0);
    expect(outcomes(second)).toMatchObject({ whiskey: 'skipped' });

    const asked = during('alpha', () => server.sql('ALTER DATABASE victor RENAME TO uniform'));
    const third = await backUp({ databases: { names: ['alpha', 'victor'] } }, asked);
    expect(third).toMatchObject({ code: 3, verdict: { reason: 'DatabaseFailed' } });
    expect(third.verdict.message).toContain('it was renamed to "uniform"');
    await server.sql('DROP DATABASE uniform');
  });

  const everything = { all: true, exclude: ['postgres', 'alpha', 'beta', 'gamma', 'fresh'] };
  test.each([
    ['pgbackup_replaced_0123456789ab', false, everything],
    ['xray_20260101t030000z', true, everything],
    ['xray_20260101t030000z', true, { names: ['xray'] }],
    [undefined, false, { names: ['xray'] }],
  ])(
    'because a restore took its place is dumped as what has its name now (the old one: %s)',
    async (name, isKept, databases) => {
      await server.sql('CREATE DATABASE xray TEMPLATE beta');
      await server.sql('CREATE DATABASE fresh TEMPLATE beta');
      await server.sql('CREATE TABLE restored (i int)', 'fresh');
      const [old] = await server.sql<{ oid: string }>(
        `SELECT oid::text AS oid FROM pg_database WHERE datname = 'xray'`,
      );
      const swap = async (): Promise<void> => {
        const terminate = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'xray'`;
        if (name === undefined) await server.sql('DROP DATABASE xray WITH (FORCE)');
        else await server.sql(`${terminate}; ALTER DATABASE xray RENAME TO ${name}`);
        await server.sql('ALTER DATABASE fresh RENAME TO xray');
        if (isKept) await server.sql(keptStatement({ name: name ?? '', oid: old?.oid ?? '' }));
      };
      try {
        const ended = await backUp({ databases }, during('xray', swap, 'held'));
        expect(ended.code, ended.log).toBe(0);
        expect(outcomes(ended)).toEqual({ xray: 'stored' });
        expect(notesOf(ended)).toMatchObject([
          { reason: 'DatabaseRenamed', message: expect.stringContaining('another one took its name') as string },
        ]);
        const path = join(folder.path, `place-${places}`);
        const file = (await readdir(path, { recursive: true })).find((key) => key.endsWith('xray.dump.zst'));
        const archive = zstdDecompressSync(await readFile(join(path, file ?? '')));
        expect(archive.includes('CREATE TABLE public.restored')).toBe(true);
      } finally {
        for (const each of ['xray', 'fresh', name ?? 'none']) await server.sql(`DROP DATABASE IF EXISTS ${each}`);
      }
    },
  );

  test('because it lets nobody in is told: as skipped when all are wanted, as failed when it is named', async () => {
    for (const name of ['shut', 'torn']) await server.sql(`CREATE DATABASE ${name}`);
    await server.sql('ALTER DATABASE shut WITH ALLOW_CONNECTIONS false');
    await server.sql(`UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'torn'`);
    try {
      const all = await backUp({ databases: { all: true, exclude: ['postgres', 'beta', 'gamma'] } });
      expect(all.code).toBe(0);
      expect(outcomes(all)).toEqual({ alpha: 'stored', shut: 'skipped', torn: 'skipped' });
      expect(notesOf(all)).toMatchObject([{ reason: 'DatabaseSkipped', count: 2 }]);
      const named = await backUp({ databases: { names: ['alpha', 'shut', 'torn'] } });
      expect(named).toMatchObject({ code: 3, verdict: { reason: 'DatabaseFailed' } });
      expect(outcomes(named)).toEqual({ alpha: 'stored', shut: 'failed', torn: 'failed' });
      const only = await backUp({ databases: { names: ['torn'] }, databaseRetries: 2 });
      expect(only).toMatchObject({ code: 77, verdict: { reason: 'DatabaseClosed' } });
      expect(only.verdict.message).toContain('DROP DATABASE of it was interrupted');
      const nothing = await backUp({ databases: { all: true, exclude: ['postgres', 'alpha', 'beta', 'gamma'] } });
      expect(nothing).toMatchObject({ verdict: { verdict: 'Failed', reason: 'NoDatabases' } });
      const from = backupTaskOf(server, {}).source;
      const closed = await backUp({
        source: { ...from, maintenanceDatabase: 'shut' },
        databases: { names: ['alpha'] },
      });
      expect(closed).toMatchObject({ code: 77, verdict: { reason: 'DatabaseClosed' } });
    } finally {
      await server.sql(`UPDATE pg_database SET datconnlimit = -1 WHERE datname = 'torn'`);
      for (const name of ['shut', 'torn']) await server.sql(`DROP DATABASE ${name}`);
    }
  });

  test('by the rules of the server is named with the way to exclude it; the others are backed up', async () => {
    const [row] = await server.sql<{ hba_file: string }>('SHOW hba_file');
    const rules = row?.hba_file ?? '';
    const before = await readFile(rules, 'utf8');
    await server.sql('CREATE DATABASE ruled');
    await writeFile(rules, `local ruled all reject\nhost ruled all all reject\n${before}`);
    await server.sql('SELECT pg_reload_conf()');
    try {
      const ended = await backUp({ databases: { all: true, exclude: ['postgres', 'beta', 'gamma'] } });
      expect(ended).toMatchObject({ code: 3, verdict: { reason: 'DatabaseFailed' } });
      expect(outcomes(ended)).toEqual({ alpha: 'stored', ruled: 'failed' });
      expect(ended.results).toMatchObject([
        {},
        { reason: 'AuthenticationFailed', detail: expect.stringMatching(/pg_hba\.conf.*exclude/s) as string },
      ]);
    } finally {
      await writeFile(rules, before);
      await server.sql('SELECT pg_reload_conf()');
      await server.sql('DROP DATABASE ruled');
    }
  });

  test('by this user is named with the way to exclude it; the others are backed up', async () => {
    await server.sql(`CREATE ROLE guest LOGIN PASSWORD 'g' IN ROLE pg_read_all_data`);
    await server.sql('CREATE DATABASE private');
    await server.sql('REVOKE CONNECT ON DATABASE private FROM PUBLIC');
    await server.sql('CREATE DATABASE few CONNECTION LIMIT 0');
    try {
      const as = { user: 'guest', password: 'g' };
      const databases = { all: true, exclude: ['postgres', 'beta', 'gamma', 'few'] };
      const ended = await backUp({ databases }, {}, server, as);
      expect(ended).toMatchObject({ code: 3, verdict: { reason: 'DatabaseFailed' } });
      expect(outcomes(ended)).toEqual({ alpha: 'stored', private: 'failed' });
      expect(ended.results).toMatchObject([
        {},
        { reason: 'PermissionDenied', detail: expect.stringContaining('exclude') as string },
      ]);
      const few = await backUp({ databases: { names: ['few'] } }, {}, server, as);
      expect(few).toMatchObject({ code: 77, verdict: { reason: 'DatabaseClosed' } });
      expect(few.verdict.message).toContain('CONNECTION LIMIT 0');
    } finally {
      for (const name of ['few', 'private']) await server.sql(`DROP DATABASE ${name}`);
      await server.sql('DROP ROLE guest');
    }
  });
});

describe.each(['disable', 'verify-full'] as const)('a connection that breaks (TLS %s)', (mode) => {
  let proxy: TcpProxy;
  beforeAll(async () => {
    proxy = await startTcpProxy(server);
  });
  afterAll(() => proxy?.stop());
  const source = (): BackupTask['source'] => ({
    ...backupTaskOf(proxy, {}).source,
    tls: { mode, ca: { secretName: 'ca', keys: { ca: 'ca.crt' } } },
  });
  const names = ['alpha', 'beta', 'gamma'];

  test('in the middle of one of several dumps makes it be dumped again, after the others', async () => {
    const broken = during('beta', () => proxy.resetAll());
    const ended = await backUp({ source: source(), databases: { names }, databaseRetries: 1 }, broken);
    expect(ended).toMatchObject({ code: 0, verdict: { verdict: 'Succeeded' } });
    expect(outcomes(ended)).toEqual({ alpha: 'stored', beta: 'stored', gamma: 'stored' });
    expect(ended.log).toContain('databases are tried again');
  });

  test('fails that database for a reason that passes, when nothing may be tried again', async () => {
    const broken = during('beta', () => proxy.resetAll());
    const ended = await backUp({ source: source(), databases: { names } }, broken);
    expect(ended).toMatchObject({ code: 3, verdict: { reason: 'DatabaseFailed' } });
    expect(ended.results).toMatchObject([{}, { name: 'beta', reason: 'ConnectionLost' }, {}]);
  });

  test('in the only dump leaves the next try to the Job', async () => {
    const broken = during('alpha', () => proxy.resetAll());
    const ended = await backUp({ source: source(), databases: { names: ['alpha'] }, databaseRetries: 3 }, broken);
    expect(ended).toMatchObject({ code: 75, verdict: { verdict: 'Failed', reason: 'ConnectionLost' } });
  });
});
