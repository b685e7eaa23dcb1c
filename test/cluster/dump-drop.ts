import { execFile } from 'node:child_process';
import { rename, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import type { Postgres } from '../servers/postgres.ts';
import { writeZip } from '../builders/zip.ts';

const run = promisify(execFile);

/** A folder in which somebody else's tool leaves dumps of its database. */
export interface DumpDrop {
  /**
   * Leaves a ZIP with a dump of a table `orders` of so many rows, and a text beside it; whole at once, under its name. `agoSeconds`: how
   * long ago it was changed last. Gives its size.
   */
  leave(name: string, rows: number, format: 'archive' | 'sql.gz', agoSeconds?: number): Promise<number>;
}

export async function openDumpDrop(server: Postgres, folder: string, database: string): Promise<DumpDrop> {
  await server.sql(`CREATE DATABASE ${database}`);
  await server.sql('CREATE TABLE orders (id int PRIMARY KEY, note text NOT NULL)', database);
  const dump = async (...args: readonly string[]): Promise<Buffer> => {
    const where = ['--host', server.socketDir, '--port', String(server.port), '--username', server.user, database];
    const env = { PGPASSWORD: server.password, PATH: '/usr/bin:/bin' };
    const { stdout } = await run(join(server.binDir, 'pg_dump'), [...args, ...where], { encoding: 'buffer', env });
    return stdout;
  };
  return {
    leave: async (name, rows, format, agoSeconds = 0) => {
      await server.sql(
        `TRUNCATE orders; INSERT INTO orders SELECT i, 'order ' || i FROM generate_series(1, ${rows}) i`,
        database,
      );
      const isArchive = format === 'archive';
      const content = isArchive ? await dump('--format=custom') : gzipSync(await dump('--format=plain'));
      const zip = writeZip([
        { name: 'read me.txt', content: 'Made by somebody else.\n' },
        { name: `dumps/${isArchive ? 'orders.dump' : 'orders.sql.gz'}`, content },
      ]);
      const path = join(folder, `${name}.part`);
      await writeFile(path, zip);
      const changedAt = new Date(Date.now() - agoSeconds * 1000);
      await utimes(path, changedAt, changedAt);
      await rename(path, join(folder, name));
      return zip.length;
    },
  };
}
