import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Postgres } from './postgres.ts';

/** Spoils the header of the second page of a table, as a bad disk would; the server is stopped and started for it. */
export async function damageSecondPage(server: Postgres, table: string, database: string): Promise<void> {
  await server.sql('CHECKPOINT');
  const [{ path, dir } = { path: '', dir: '' }] = await server.sql<{ path: string; dir: string }>(
    `SELECT pg_relation_filepath('${table}') AS path, current_setting('data_directory') AS dir`,
    database,
  );
  await server.stop();
  const file = await open(join(dir, path), 'r+');
  await file.write(Buffer.alloc(64, 0xff), 0, 64, 8192);
  await file.close();
  await server.start();
}
