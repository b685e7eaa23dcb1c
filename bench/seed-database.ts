import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clusterFolder, databaseName, startBenchDatabase } from './bench-database.ts';

/**
 * The database of the benchmark, once for each scale: pgbench with `scale`, and at scale 100 beside it 520 MB of JSON documents, 100 MB
 * of random bytes and 100 MB of events, all with indexes. Rows come from their numbers, so that it is the same everywhere.
 */
export async function seedDatabase(cache: string, scale: number, tell: (line: string) => void): Promise<void> {
  const folder = clusterFolder(cache, scale);
  const complete = join(folder, 'complete');
  if (existsSync(complete)) return;
  const started = performance.now();
  tell(`seeding scale ${scale} (once) …`);
  const database = await startBenchDatabase(folder);
  try {
    await database.call('psql', ['-X', '-q', '-d', 'postgres', '-c', `DROP DATABASE IF EXISTS ${databaseName}`]);
    await database.call('createdb', [databaseName]);
    await Promise.all([
      database.call('pgbench', ['--initialize', '--quiet', '--init-steps=dtgvp', `--scale=${scale}`, databaseName]),
      ...statements(scale).map(async (sql) => database.psql(sql)),
    ]);
    await database.psql('VACUUM ANALYZE');
    await database.psql('CHECKPOINT');
    const size = await database.psql(`SELECT pg_size_pretty(pg_database_size('${databaseName}'))`);
    tell(`seeded: ${size.trim()} in ${((performance.now() - started) / 1000).toFixed(0)} s`);
  } finally {
    await database.stop();
  }
  await writeFile(complete, new Date().toISOString());
}

function statements(scale: number): readonly string[] {
  const words = `ARRAY['amber','birch','cobalt','delta','ember','fjord','garnet','harbor','indigo','juniper','kelp','lumen','maple','nectar','onyx','prairie']`;
  const text = (count: number): string =>
    `(SELECT string_agg((${words})[1 + (hashint4(i * 31 + w) & 15)], ' ') FROM generate_series(1, ${count}) w)`;
  return [
    `CREATE TABLE documents AS SELECT i AS id, jsonb_build_object('id', i, 'customer', 'customer' || hashint4(i),
       'address', jsonb_build_object('city', ${text(2)}, 'zip', hashint4(i + 1) & 65535),
       'tags', jsonb_build_array(md5(i::text), i % 7, i % 11), 'notes', ${text(40)},
         'history', (SELECT jsonb_agg(md5((i * 8 + k)::text)) FROM generate_series(1, 8) k)) AS document
     FROM generate_series(1, ${scale * 6600}) i;
     ALTER TABLE documents ADD PRIMARY KEY (id);
     CREATE INDEX ON documents ((document ->> 'customer'))`,
    `CREATE TABLE blobs AS SELECT i AS id, (SELECT string_agg(sha256((i * 32 + k)::text::bytea), '') FROM generate_series(1, 32) k) AS bytes
     FROM generate_series(1, ${scale * 1000}) i;
     ALTER TABLE blobs ADD PRIMARY KEY (id);
     CREATE TABLE events AS SELECT i AS id, timestamptz '2025-01-01 00:00Z' + i * interval '3 s' AS at, i % 977 AS device,
       hashint4(i) / 1000.0 AS value, (${words})[1 + (i & 15)] AS kind FROM generate_series(1, ${scale * 16_000}) i;
     ALTER TABLE events ADD PRIMARY KEY (id);
     CREATE INDEX ON events (device, at)`,
  ];
}
