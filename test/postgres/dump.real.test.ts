import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectClient } from '../../src/postgres/connection.ts';
import { dumpDatabase, dumpGlobals, type DumpTools } from '../../src/postgres/dump.ts';
import { inspectServer, listDatabases, readSizes } from '../../src/postgres/inspect.ts';
import { readFacts } from '../../src/postgres/read-facts.ts';
import { choosePrograms, findPrograms, programPath } from '../../src/postgres/programs.ts';
import { systemClock } from '../../src/support/clock.ts';
import { collect, rejection } from '../pipeline/streams.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { temporaryPostgres, type TemporaryPostgres } from './temporary-postgres.ts';

const run = promisify(execFile);
const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const lockTimeoutSeconds = 10;
const encoding = 'UTF8';
/** Names that a careless caller hands to libpq as something else. */
const oddNames = ['a=b host=x', 'weird "name"', "it's", 'Grüße 🐘', '--schema-only', 'postgresql://x/y', '%2e', '*'];
const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;

describe.skipIf(binDirs.length === 0).each(binDirs)('a server of %s', (binDir) => {
  let at: TemporaryPostgres;
  let tools: DumpTools;
  const dump = (database: string, selection = {}) =>
    dumpDatabase(tools, database, { selection, lockTimeoutSeconds, encoding }, never);
  const connect = (database: string) => connectClient(at.server, database, { timeoutMs: 10_000 }, never);

  beforeAll(async () => {
    at = await temporaryPostgres({ binDir });
    const { postgres } = at;
    await postgres.sql("CREATE ROLE reader LOGIN PASSWORD 'r'; CREATE ROLE owner_of_shop; CREATE ROLE granted");
    await postgres.sql('CREATE DATABASE shop OWNER owner_of_shop CONNECTION LIMIT 7');
    await postgres.sql(
      `CREATE SCHEMA sales; CREATE TABLE sales.orders (id int PRIMARY KEY, note text);
       INSERT INTO sales.orders SELECT i, md5(i::text) FROM generate_series(1, 50000) i;
       CREATE TABLE customers (id int, name text); INSERT INTO customers VALUES (1, 'Ä'), (2, NULL);
       CREATE TABLE secret (id int); ALTER TABLE customers OWNER TO owner_of_shop;
       GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader; REVOKE ALL ON secret FROM reader;
       GRANT SELECT ON customers TO granted;
       ALTER DATABASE shop SET work_mem = '8MB'; ALTER ROLE reader IN DATABASE shop SET search_path = 'sales, public';
       COMMENT ON DATABASE shop IS 'the shop'; GRANT CONNECT ON DATABASE shop TO granted`,
      'shop',
    );
    for (const name of oddNames) {
      await postgres.sql(`CREATE DATABASE ${quote(name)}`);
      await postgres.sql(`CREATE TABLE here AS SELECT current_database() AS name`, name);
    }
    await postgres.sql('CREATE DATABASE closed ALLOW_CONNECTIONS false; ');
    await postgres.sql('CREATE DATABASE rdsadmin');
    tools = await at.tools();
  });
  afterAll(() => at?.remove());

  test('is dumped by its own programs, and pg_restore brings every row back', async () => {
    const shop = dump('shop');
    const archive = await collect(shop.bytes);
    expect(shop.archiveVersion()).toMatch(/^1\.1[4-9]$/);
    const file = join(await at.folder(), 'shop.dump');
    await writeFile(file, archive);
    await at.postgres.sql('DROP DATABASE IF EXISTS back');
    await at.postgres.sql('CREATE DATABASE back');
    await run(programPath(tools.programs, 'pg_restore'), ['--exit-on-error', '--dbname=back', file], {
      env: tools.environment,
    });
    for (const table of ['sales.orders', 'customers', 'secret']) {
      const sum = `SELECT count(*)::int AS rows, md5(string_agg(t::text, ',' ORDER BY t::text)) AS hash FROM ${table} t`;
      expect(await at.postgres.sql(sum, 'back')).toEqual(await at.postgres.sql(sum, 'shop'));
    }
    expect(await at.postgres.sql('SELECT count(*)::int AS rows FROM sales.orders', 'back')).toEqual([{ rows: 50_000 }]);
  });

  test.each(oddNames)('has a database %j, and that one is dumped', async (name) => {
    const file = join(await at.folder(), 'odd.dump');
    await writeFile(file, await collect(dump(name).bytes));
    const { stdout } = await run(programPath(tools.programs, 'pg_restore'), ['--data-only', '--file=-', file]);
    expect(stdout).toContain(`\n${name}\n\\.`);
  });

  test('patterns select and exclude', async () => {
    const list = async (selection: object) => {
      const file = join(await at.folder(), 'part.dump');
      await writeFile(file, await collect(dump('shop', selection).bytes));
      const { stdout } = await run(programPath(tools.programs, 'pg_restore'), ['--list', file]);
      return [...stdout.matchAll(/ TABLE(?: DATA)? (\w+ \w+) /g)].map(([whole]) => whole.trim()).sort();
    };
    expect(await list({ schemas: ['sal*'] })).toEqual(['TABLE DATA sales orders', 'TABLE sales orders']);
    expect(await list({ tables: ['public.customers'] })).toEqual([
      'TABLE DATA public customers',
      'TABLE public customers',
    ]);
    expect(
      await list({ excludeSchemas: ['sales'], excludeTables: ['secret', 'nothing'], excludeTableData: ['customers'] }),
    ).toEqual(['TABLE public customers']);
  });

  test.each([
    [{ schemas: ['sales', 'typo'] }, 'typo'],
    [{ tables: ['costumers'] }, 'costumers'],
  ])('a pattern that matches nothing fails: %j', async (selection, word) => {
    expect(await rejection(collect(dump('shop', selection).bytes))).toMatchObject({
      reason: 'SelectionEmpty',
      message: expect.stringContaining(word) as string,
    });
  });

  test('is dumped the same with and without stdbuf', async () => {
    const { stdbuf: _stdbuf, ...without } = tools;
    const lengths: number[] = [];
    for (const way of [{ ...without, stdbuf: '/usr/bin/stdbuf' }, without]) {
      lengths.push((await collect(dumpDatabase(way, 'shop', { lockTimeoutSeconds, encoding }, never).bytes)).length);
    }
    expect(lengths[0]).toBe(lengths[1]);
  });

  test('an empty database is a fine archive', async () => {
    await at.postgres.sql('DROP DATABASE IF EXISTS nothing');
    await at.postgres.sql('CREATE DATABASE nothing');
    expect((await collect(dump('nothing').bytes)).subarray(0, 5).toString()).toBe('PGDMP');
  });

  test('globals hold the roles, and passwords only when asked for', async () => {
    const plain = (
      await collect(dumpGlobals(tools, 'postgres', { rolePasswords: false, lockTimeoutSeconds, encoding }, never).bytes)
    ).toString();
    expect(plain).toContain('CREATE ROLE owner_of_shop');
    expect(plain).not.toContain('SCRAM-SHA-256');
    const full = (
      await collect(dumpGlobals(tools, 'postgres', { rolePasswords: true, lockTimeoutSeconds, encoding }, never).bytes)
    ).toString();
    expect(full).toContain('SCRAM-SHA-256');
    for (const name of oddNames) {
      const odd = dumpGlobals(tools, name, { rolePasswords: false, lockTimeoutSeconds, encoding }, never);
      expect((await collect(odd.bytes)).toString()).toContain('CREATE ROLE owner_of_shop');
    }
  });

  test('tells version, databases and what the manifest needs', async () => {
    const connection = await connect('shop');
    const server = await inspectServer(connection);
    expect(server.major).toBe(at.postgres.major);
    expect(server.version.startsWith(String(server.major))).toBe(true);
    const listed = await listDatabases(connection);
    const names = listed.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['shop', 'postgres', ...oddNames]));
    for (const name of ['template0', 'template1', 'rdsadmin']) expect(names).not.toContain(name);
    expect(listed.find(({ name }) => name === 'closed')?.closed).toContain('ALLOW_CONNECTIONS false');
    const shop = listed.find(({ name }) => name === 'shop');
    expect(shop).not.toHaveProperty('closed');
    expect((await readSizes(connection, 10_000)).get(shop?.oid ?? '')).toBeGreaterThan(1_000_000);
    const facts = (await readFacts(connection, server.major)).facts;
    await connection.close();
    expect(facts).toMatchObject({
      owner: 'owner_of_shop',
      encoding: 'UTF8',
      localeProvider: 'libc',
      collate: 'C.UTF-8',
      tablespace: 'pg_default',
      connectionLimit: 7,
      comment: 'the shop',
      settings: [{ setting: 'work_mem=8MB' }, { role: 'reader', setting: 'search_path="sales, public"' }],
      extensions: [{ name: 'plpgsql', version: '1.0', schema: 'pg_catalog' }],
      roles: ['admin', 'granted', 'owner_of_shop', 'reader'],
    });
    expect(facts.acl).toContain('granted=c/owner_of_shop');
  });

  test('another provider of locales is told', async () => {
    if (at.postgres.major < 17) return;
    await at.postgres.sql('DROP DATABASE IF EXISTS builtin');
    await at.postgres.sql(
      `CREATE DATABASE builtin LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' TEMPLATE template0`,
    );
    const connection = await connect('builtin');
    expect((await readFacts(connection, at.postgres.major)).facts).toMatchObject({
      localeProvider: 'builtin',
      locale: 'C.UTF-8',
    });
    await connection.close();
  });

  test('a user who may not know the size of a database still sees it', async () => {
    await at.postgres.sql('REVOKE CONNECT ON DATABASE shop FROM PUBLIC');
    const connection = await connectClient(
      { ...at.server, user: 'reader', password: 'r' },
      'postgres',
      { timeoutMs: 10_000 },
      never,
    );
    const shop = (await listDatabases(connection)).find(({ name }) => name === 'shop');
    const sizes = await readSizes(connection, 10_000);
    expect(shop).toEqual({ oid: expect.stringMatching(/^\d+$/) as string, name: 'shop', connectionLimit: 7 });
    expect(sizes.size).toBeGreaterThan(0);
    expect(sizes.has(shop?.oid ?? '')).toBe(false);
    await connection.close();
    await at.postgres.sql('GRANT CONNECT ON DATABASE shop TO PUBLIC');
  });

  test('a table that may not be read fails with its name', async () => {
    await at.postgres.sql('GRANT USAGE ON SCHEMA sales TO reader; GRANT SELECT ON sales.orders TO reader', 'shop');
    const limited = await at.tools({ ...at.server, user: 'reader', password: 'r' });
    const attempt = collect(dumpDatabase(limited, 'shop', { lockTimeoutSeconds, encoding }, never).bytes);
    expect(await rejection(attempt)).toMatchObject({
      reason: 'PermissionDenied',
      message: expect.stringContaining('permission denied for table secret') as string,
    });
  });

  test('a wrong password and a missing database are told as such by the programs too', async () => {
    const wrong = await at.tools({ ...at.server, password: 'wrong' });
    const refused = await rejection(
      collect(dumpDatabase(wrong, 'shop', { lockTimeoutSeconds, encoding }, never).bytes),
    );
    expect(refused).toMatchObject({ reason: 'AuthenticationFailed' });
    expect(await rejection(collect(dump('vanished').bytes))).toMatchObject({ reason: 'DatabaseMissing' });
    expect(
      await rejection(
        collect(dumpGlobals(wrong, 'postgres', { rolePasswords: false, lockTimeoutSeconds, encoding }, never).bytes),
      ),
    ).toMatchObject({
      // It does not say why (see server-errors.ts).
      reason: 'ServerUnreachable',
    });
  });

  test('a locked table fails after the lock timeout', async () => {
    const locker = await connect('shop');
    await locker.query('BEGIN');
    await locker.query('LOCK TABLE public.customers IN ACCESS EXCLUSIVE MODE');
    const attempt = collect(dumpDatabase(tools, 'shop', { lockTimeoutSeconds: 1, encoding }, never).bytes);
    expect(await rejection(attempt)).toMatchObject({ reason: 'LockTimeout' });
    await locker.close();
  });
});

describe.skipIf(binDirs.length === 0)('a dump that is disturbed', () => {
  let at: TemporaryPostgres;
  /** By this odd number our processes are told from those of other tests on the machine. */
  const lockTimeoutSeconds = 4217;
  let tools: DumpTools;
  beforeAll(async () => {
    at = await temporaryPostgres({ binDir: binDirs.at(-1) ?? '' });
    await at.postgres.sql('CREATE DATABASE big');
    await at.postgres.sql(
      `CREATE TABLE t AS SELECT i, repeat(md5(i::text), 20) AS text FROM generate_series(1, 100000) i`,
      'big',
    );
    tools = await at.tools();
  });
  afterAll(() => at?.remove());

  /** Dumps `big`, calls `disturb` after the first bytes, and reads on. */
  const disturbed = async (disturb: () => Promise<unknown>, signal = never): Promise<unknown> => {
    const chunks = dumpDatabase(tools, 'big', { lockTimeoutSeconds, encoding }, signal).bytes[Symbol.asyncIterator]();
    await chunks.next();
    await disturb();
    return rejection(
      (async () => {
        while ((await chunks.next()).done !== true);
      })(),
    );
  };
  const dumping = () =>
    at.postgres.sql<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE application_name = 'pgbackup' AND datname = 'big'`,
    );
  const dumpProcesses = async () => {
    const { stdout } = await run('ps', ['-eo', 'pid,args']);
    return stdout
      .split('\n')
      .filter((line) => line.includes('/pg_dump ') && line.includes('--lock-wait-timeout=4217000'))
      .map((line) => Number.parseInt(line, 10));
  };

  test('by an administrator who ends its connection: ConnectionLost', async () => {
    const failure = await disturbed(() =>
      at.postgres.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgbackup'`),
    );
    expect(failure).toMatchObject({ reason: 'ConnectionLost' });
  });

  test('by a crash of the server: ConnectionLost, and it can be dumped when the server is back', async () => {
    expect(await disturbed(() => at.postgres.restart())).toMatchObject({ reason: 'ConnectionLost' });
    const archive = await collect(dumpDatabase(tools, 'big', { lockTimeoutSeconds, encoding }, never).bytes);
    expect(archive.length).toBeGreaterThan(60_000_000);
  });

  test('by the death of pg_dump: DumpFailed', async () => {
    const failure = await disturbed(async () => {
      const pids = await dumpProcesses();
      expect(pids).toHaveLength(1);
      for (const pid of pids) process.kill(pid, 'SIGKILL');
    });
    expect(failure).toMatchObject({ reason: 'DumpFailed', message: expect.stringContaining('SIGKILL') as string });
  });

  test('by an abort: Aborted, and no process is left', async () => {
    const controller = new AbortController();
    expect(await disturbed(async () => controller.abort(), controller.signal)).toMatchObject({ reason: 'Aborted' });
    expect(await dumpProcesses()).toEqual([]);
  });

  test('by a reader who leaves: no process is left, and the server notices', async () => {
    for await (const _chunk of dumpDatabase(tools, 'big', { lockTimeoutSeconds, encoding }, never).bytes) break;
    expect(await dumpProcesses()).toEqual([]);
    while ((await dumping()).length > 0) await systemClock.sleep(20, never);
  });

  test('is not even begun while nobody reads', async () => {
    dumpDatabase(tools, 'big', { lockTimeoutSeconds, encoding }, never);
    expect(await dumpProcesses()).toEqual([]);
  });

  test.skipIf(binDirs.length < 2)('by programs that are too old: ProgramMissing', async () => {
    const programs = await findPrograms(binDirs, systemClock, never);
    expect(() => choosePrograms(programs.slice(0, -1), at.postgres.major)).toThrow(/no programs for/);
    const [oldest] = programs;
    const old = await at.tools(at.server, oldest);
    const attempt = collect(dumpDatabase(old, 'big', { lockTimeoutSeconds, encoding }, never).bytes);
    expect(await rejection(attempt)).toMatchObject({ reason: 'ProgramMissing' });
  });

  test.skipIf(binDirs.length < 2)('newer programs read an older server', async () => {
    const older = await temporaryPostgres({ binDir: binDirs[0] ?? '' });
    try {
      const newest = (await findPrograms(binDirs, systemClock, never)).at(-1);
      const archive = await collect(
        dumpDatabase(await older.tools(older.server, newest), 'postgres', { lockTimeoutSeconds, encoding }, never)
          .bytes,
      );
      expect(archive.subarray(0, 5).toString()).toBe('PGDMP');
    } finally {
      await older.remove();
    }
  });
});
