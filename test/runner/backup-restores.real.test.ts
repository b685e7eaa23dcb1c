import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manifestKey } from '../../src/domain/layout.ts';
import { parseManifest, type Manifest } from '../../src/domain/manifest.ts';
import { readSmall } from '../../src/runner/read-small.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { checksumTables, fetchVolumes, restoreWithStockTools } from './restore-with-stock-tools.ts';
import { attempts, backupTaskOf, pgSecret, runWith } from './run-with.ts';
import { placeKinds, required, startStand, type Stand } from './stand.ts';

const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const never = new AbortController().signal;
const nasty = ['we"ird; näme $(touch x)', 'a=b host=evil', 'per%cent/slash\\', "it's .. 象", '.dot'];
const key = manifestKey('shop', 'nightly', 'nightly-20260101t030000z');

let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(async () => {
  await stand.stop();
});

async function fill(server: Postgres, database: string, rows: number): Promise<void> {
  await server.sql(`CREATE DATABASE ${quote(database)}`);
  await server.sql(
    `CREATE SCHEMA sales; CREATE SCHEMA private;
     CREATE TABLE sales.orders AS SELECT i AS id, md5(i::text) || md5((i * 7)::text) AS note, now() AS at FROM generate_series(1, ${rows}) i;
     CREATE TABLE sales.log AS SELECT i AS id FROM generate_series(1, 100) i;
     CREATE TABLE private.keys AS SELECT i AS id FROM generate_series(1, 10) i;
     CREATE TABLE public."Ta ble" AS SELECT 'x' AS x;
     ALTER TABLE sales.orders ADD PRIMARY KEY (id);
     CREATE VIEW sales.recent AS SELECT * FROM sales.orders WHERE id > 5;`,
    database,
  );
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

async function readManifest(storage: Storage): Promise<Manifest> {
  return parseManifest(key, (await readSmall(storage, key, 1 << 20, never)).toString('utf8'));
}

async function sha256(files: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of files) for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

describe.each(binDirs.map((binDir) => [basename(dirname(binDir)), binDir]))('PostgreSQL %s', (major, binDir) => {
  let server: Postgres;
  beforeAll(async () => {
    server = await startPostgres({ binDir, dir: join(stand.folder, `pg${major}`) });
    await server.sql(`CREATE ROLE "app user" LOGIN PASSWORD 'role-password-of-app'`);
    for (const [index, name] of nasty.entries()) await fill(server, name, index === 0 ? 40_000 : 500);
    await server.sql(`ALTER DATABASE ${quote(nasty[1] ?? '')} OWNER TO "app user"`);
  });
  afterAll(async () => {
    await server?.stop();
  });

  test('many databases at three places at once are the same everywhere and come back with stock tools', async () => {
    const places = await stand.fresh();
    const locations = placeKinds.map((kind) => places[kind]);
    const task = backupTaskOf(server, { destinations: required(...locations), volumeBytes: 64 * 1024 });
    const ended = await runWith(stand.folder, task, { ...stand.secrets, ...pgSecret(server) }, [binDir]);
    expect(ended.verdict).toMatchObject({ verdict: 'Succeeded', attempt: attempts.first });
    expect(ended.code).toBe(0);
    expect(ended.results.map((line) => line.kind === 'database' && [line.name, line.outcome])).toEqual(
      [...nasty, 'postgres'].sort().map((name) => [name, 'stored']),
    );

    const expected = new Map<string, unknown>();
    for (const name of nasty) expected.set(name, await checksumTables(server, name));
    const manifests = new Set<string>();
    for (const [index, location] of locations.entries()) {
      const storage = await stand.open(location);
      const manifest = await readManifest(storage);
      manifests.add(JSON.stringify(manifest));
      expect(await stand.keys(location)).toEqual(keysNamed(manifest));
      const big = manifest.databases.find(({ name }) => name === nasty[0])?.artifacts[0];
      expect(big?.volumes.length).toBeGreaterThan(5);
      // Each place restores some of the databases, all together all of them.
      for (const name of nasty.filter((_, at) => at % locations.length === index || at === 0)) {
        const artifact = manifest.databases.find((database) => database.name === name)?.artifacts[0];
        if (artifact === undefined) throw new Error(`${name} is missing`);
        const files = await fetchVolumes(storage, artifact, stand.folder);
        expect(await sha256(files)).toBe(artifact.stored.sha256);
        for (const [at, volume] of artifact.volumes.entries()) {
          expect(await sha256([files[at] ?? ''])).toBe(volume.sha256);
        }
        await server.sql('CREATE DATABASE restored');
        await restoreWithStockTools(files, server, 'restored');
        expect(await checksumTables(server, 'restored')).toEqual(expected.get(name));
        await server.sql('DROP DATABASE restored');
      }
      await storage.close();
    }
    expect(manifests.size).toBe(1);
  });

  test('the manifest tells owners, versions and sizes, and globals hold roles without passwords', async () => {
    const { directory } = await stand.fresh();
    const task = backupTaskOf(server, { destinations: required(directory), compression: { algorithm: 'none' } });
    const ended = await runWith(stand.folder, task, { ...stand.secrets, ...pgSecret(server) }, [binDir]);
    expect(ended.verdict.verdict).toBe('Succeeded');
    const storage = await stand.open(directory);
    const manifest = await readManifest(storage);
    expect(manifest).toMatchObject({ server: { major: Number(major) }, attempt: attempts.first });
    expect(manifest.databases.find(({ name }) => name === nasty[1])?.facts).toMatchObject({
      owner: 'app user',
      encoding: 'UTF8',
    });
    const sum = manifest.databases.reduce((bytes, database) => bytes + (database.artifacts[0]?.plain.bytes ?? 0), 0);
    expect(manifest.plainBytes).toBe(sum + (manifest.globals?.plain.bytes ?? 0));
    const globals = await readFile(
      join(directory.place.directory?.path ?? '', manifest.globals?.volumes[0]?.key ?? ''),
      'utf8',
    );
    expect(globals).toContain('CREATE ROLE "app user"');
    expect(globals).not.toMatch(/PASSWORD|SCRAM/);
  });

  test('schemas, tables and row exclusions reach pg_dump, and a pattern that matches nothing fails', async () => {
    const { directory } = await stand.fresh();
    const name = nasty[3] ?? '';
    const task = backupTaskOf(server, {
      databases: { names: [name] },
      destinations: required(directory),
      dump: {
        globals: false,
        rolePasswords: false,
        lockTimeoutSeconds: 10,
        schemas: ['sales', 'public'],
        excludeTables: ['public."Ta ble"'],
        excludeTableData: ['sales.log'],
      },
    });
    const secrets = { ...stand.secrets, ...pgSecret(server) };
    const ended = await runWith(stand.folder, task, secrets, [binDir]);
    expect(ended.verdict.verdict).toBe('Succeeded');
    const storage = await stand.open(directory);
    const manifest = await readManifest(storage);
    expect(manifest.globals).toBeUndefined();
    const artifact = manifest.databases[0]?.artifacts[0];
    if (artifact === undefined) throw new Error('nothing was stored');
    await server.sql('CREATE DATABASE restored');
    await server.sql('DROP SCHEMA public', 'restored');
    await restoreWithStockTools(await fetchVolumes(storage, artifact, stand.folder), server, 'restored');
    const restored = await checksumTables(server, 'restored');
    await server.sql('DROP DATABASE restored');
    const whole = await checksumTables(server, name);
    expect(restored).toEqual({ 'sales.log': '0 ', 'sales.orders': whole['sales.orders'] });

    const again = await stand.fresh();
    const wrong = { ...task, destinations: required(again.directory), dump: { ...task.dump, schemas: ['sals'] } };
    const failed = await runWith(stand.folder, wrong, secrets, [binDir]);
    expect(failed).toMatchObject({ code: 66, verdict: { verdict: 'Failed', reason: 'SelectionEmpty' } });
    expect(await stand.keys(again.directory)).toEqual([]);
  });
});

/** Every key that a manifest names, and its own, in the order of a listing. */
function keysNamed(manifest: Manifest): readonly string[] {
  const artifacts = [...manifest.databases.flatMap((database) => database.artifacts), manifest.globals];
  const keys = artifacts.flatMap((artifact) => artifact?.volumes.map((volume) => volume.key) ?? []);
  return [...keys, key].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}
