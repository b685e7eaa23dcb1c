import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RestoreTask } from '../../src/domain/task.ts';
import { hasExtension } from '../servers/has-extension.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { asFile } from './restore-task-of.ts';
import { pgSecret, runWith, type RunEnd } from './run-with.ts';
import { startTwoDatabases, type TwoDatabases } from './two-databases.ts';

const [binDir = ''] = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const isThere = await hasExtension(binDir, 'postgis');

describe.skipIf(!isThere)('a database with PostGIS (Debian has it as postgresql-15-postgis-3)', () => {
  let stand: TwoDatabases;
  beforeAll(async () => {
    stand = await startTwoDatabases({
      fill: `CREATE EXTENSION postgis; CREATE EXTENSION postgis_topology;
        INSERT INTO spatial_ref_sys (srid, auth_name, auth_srid, srtext, proj4text)
          SELECT 990001, 'ours', 990001, srtext, proj4text FROM spatial_ref_sys WHERE srid = 4326;
        CREATE TABLE t (i int PRIMARY KEY, at geometry(Point, 4326), own geometry(Point, 990001),
          far float8 GENERATED ALWAYS AS (ST_X(at) * 2) STORED, CHECK (ST_SRID(at) = 4326));
        INSERT INTO t SELECT i, ST_SetSRID(ST_MakePoint(i % 90, i % 45), 4326), ST_SetSRID(ST_MakePoint(i, i), 990001)
          FROM generate_series(1, 500) i;
        CREATE INDEX near ON t USING gist (at); CREATE INDEX words ON t (ST_AsText(at));
        CREATE MATERIALIZED VIEW hull AS SELECT ST_AsText(ST_ConvexHull(ST_Collect(at))) AS shape FROM t;
        SELECT topology.CreateTopology('city', 4326);
        SELECT topology.TopoGeo_AddPoint('city', ST_SetSRID(ST_MakePoint(1, 2), 4326))`,
    });
  });
  afterAll(async () => stand?.stop());

  const only = (target: string, changes: Partial<RestoreTask>): RestoreTask => {
    const task = stand.taskOf(changes);
    return { ...task, target: { ...task.target, databases: [{ source: 'shop', target }] } };
  };
  const run = (task: RestoreTask): Promise<RunEnd> =>
    runWith(stand.folder, task, pgSecret(stand.server), [stand.binDir]);
  const look = (database: string): Promise<readonly Record<string, unknown>[]> =>
    stand.server.sql(
      `SELECT (SELECT md5(string_agg(ST_AsEWKT(at) || ST_AsEWKT(own) || far, ',' ORDER BY i)) FROM t) AS rows,
              (SELECT count(*)::int FROM spatial_ref_sys) AS systems,
              (SELECT count(*)::int FROM spatial_ref_sys WHERE auth_name = 'ours') AS own,
              (SELECT shape FROM hull) AS hull, (SELECT count(*)::int FROM city.node) AS nodes,
              (SELECT string_agg(name, ' ') FROM topology.topology) AS topologies,
              (SELECT string_agg(indexname, ' ' ORDER BY indexname) FROM pg_indexes WHERE tablename = 't') AS indexes`,
      database,
    );

  test.each([1, 2])(
    'is replaced and made anew whole, with reference systems and topologies of its own (jobs: %s)',
    async (jobs) => {
      const before = await look('shop');
      const options = { jobs, noOwner: false, noPrivileges: false, globals: false, analyze: true };
      const replaced = await run(only('shop', { options }));
      expect([replaced.verdict.message, replaced.verdict], replaced.log).toMatchObject([
        undefined,
        { target: 'Restored' },
      ]);
      expect(await look('shop')).toEqual(before);
      const copy = `copy_${jobs}`;
      for (const task of [
        only(copy, { mode: 'Create', options }),
        await asFile(only(`${copy}_file`, { mode: 'Create', options })),
      ]) {
        const made = await run(task);
        expect([made.verdict.message, made.verdict], made.log).toMatchObject([undefined, { target: 'Restored' }]);
        expect(await look(task.target.databases[0]?.target ?? '')).toEqual(before);
      }
    },
  );

  test('goes in place into an empty database', async () => {
    await stand.server.sql('CREATE DATABASE place');
    const ended = await run(only('place', { mode: 'InPlace' }));
    expect([ended.verdict.message, ended.verdict], ended.log).toMatchObject([undefined, { target: 'Restored' }]);
    expect(await look('place')).toEqual(await look('shop'));
  });

  test('is restored by a common user in place, where somebody has made the extensions', async () => {
    await stand.server.sql(`CREATE ROLE plain LOGIN PASSWORD 'plain-password'`);
    await stand.server.sql('CREATE DATABASE mine OWNER plain');
    const secrets = { pg: { username: 'plain', password: 'plain-password' } };
    const options = { jobs: 1, noOwner: true, noPrivileges: true, globals: false, analyze: false };
    const restore = (changes: Partial<RestoreTask>): Promise<RunEnd> =>
      runWith(stand.folder, only('mine', { mode: 'InPlace', ...changes }), secrets, [stand.binDir]);
    const refused = await restore({ options });
    expect(refused, refused.log).toMatchObject({ verdict: { reason: 'PermissionDenied', target: 'Untouched' } });
    expect(refused.verdict.hint).toBe('options.without: [extensions] leaves such out.');
    await stand.server.sql('CREATE EXTENSION postgis; CREATE EXTENSION postgis_topology', 'mine');
    // The schema of an extension is in the archive for itself.
    const select = { excludeSchemas: ['topology'], schemaOnly: false, dataOnly: false };
    const ended = await restore({ select, options: { ...options, without: ['extensions'] } });
    expect([ended.verdict.message, ended.verdict], ended.log).toMatchObject([undefined, { target: 'Restored' }]);
    const [mine] = await look('mine');
    // What was added to the tables of the extensions is left out with them.
    expect(mine).toMatchObject({ ...(await look('shop'))[0], systems: 8500, own: 0, topologies: null });
  });
});
