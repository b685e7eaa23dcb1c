import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import type { ManifestArtifact } from '../../src/domain/manifest.ts';
import type { Storage } from '../../src/storage/storage.ts';
import type { Postgres } from '../servers/postgres.ts';

const run = promisify(execFile);

/** Fetches the volumes of an artifact into files, in order. */
export async function fetchVolumes(storage: Storage, artifact: ManifestArtifact, folder: string): Promise<string[]> {
  const target = await mkdtemp(join(folder, 'fetched-'));
  const files: string[] = [];
  for (const [index, { key }] of artifact.volumes.entries()) {
    const file = join(target, String(index));
    await pipeline(Readable.from(storage.get(key, undefined, new AbortController().signal)), createWriteStream(file));
    files.push(file);
  }
  return files;
}

/** `cat volumes | zstd -d | pg_restore`, as the recovery page says it, into an existing database. */
export async function restoreWithStockTools(
  files: readonly string[],
  server: Postgres,
  database: string,
): Promise<void> {
  await run(
    'sh',
    [
      '-c',
      'set -e; target=$1; shift; cat "$@" | zstd -q -d | "$PG_RESTORE" --exit-on-error --no-password -d "$target"',
      'restore',
      // Not a bare name: one with = in it would be read as a connection string.
      `dbname='${database.replaceAll(/[\\']/g, String.raw`\$&`)}'`,
      ...files,
    ],
    {
      env: {
        PATH: process.env['PATH'],
        PG_RESTORE: join(server.binDir, 'pg_restore'),
        PGHOST: server.host,
        PGPORT: String(server.port),
        PGUSER: server.user,
        PGPASSWORD: server.password,
      },
      maxBuffer: 64 * 1024 * 1024,
    },
  );
}

/** Rows and a checksum of their texts, for every table outside the system's schemas. */
export async function checksumTables(server: Postgres, database: string): Promise<Readonly<Record<string, string>>> {
  const tables = await server.sql<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
      WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`,
    database,
  );
  const sums: Record<string, string> = {};
  for (const { name } of tables) {
    const [row] = await server.sql<{ sum: string }>(
      `SELECT count(*) || ' ' || coalesce(md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))), '') AS sum FROM ${name} t`,
      database,
    );
    sums[name] = row?.sum ?? '';
  }
  return sums;
}
