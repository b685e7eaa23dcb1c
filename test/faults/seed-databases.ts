import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { DatabaseServer } from './database-server.ts';

export const sizes = ['small', 'big', 'huge'] as const;
/** Of a few rows; dumps of 10 MB; of 33 MB, more than sockets hold. */
export type Size = (typeof sizes)[number];

const rowsOf: Readonly<Record<Size, number>> = { small: 200, big: 2_400, huge: 8_000 };

/** A database that others are copied from. Nobody may be connected to it. */
export const templateOf = (size: Size): string => `template_${size}`;

export async function seedDatabase(server: DatabaseServer, name: string, size: Size): Promise<void> {
  await server.sql(`CREATE DATABASE "${name}"`);
  // Text that does not compress well and is not compressed by the server: 4 KB a row.
  await server.sql(
    `CREATE TABLE notes (i int PRIMARY KEY, m text); ALTER TABLE notes ALTER m SET STORAGE EXTERNAL;
     INSERT INTO notes SELECT i, (SELECT string_agg(md5((i * 131 + j)::text), '') FROM generate_series(1, 128) j)
       FROM generate_series(1, ${rowsOf[size]}) i;
     CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS note FROM generate_series(1, 500) i`,
    name,
  );
}

const mebibyte = 1 << 20;
const blobs = 160;
/** Of a dump of the large database, at least: bytes are written as two digits each. */
export const largeDumpBytes = 2 * blobs * mebibyte;

/** Random bytes for large databases: nothing can be guessed, left out or made smaller without a trace. */
export async function writeBlobs(path: string): Promise<void> {
  const file = await open(path, 'w', 0o644);
  try {
    for (let index = 0; index < blobs; index += 1) await file.write(randomBytes(mebibyte));
  } finally {
    await file.close();
  }
}

/** A database whose dump has 336 MB. The server must be able to read the file of blobs. */
export async function seedLargeDatabase(server: DatabaseServer, name: string, blobsFile: string): Promise<void> {
  await server.sql(`CREATE DATABASE "${name}"`);
  await server.sql(
    `CREATE TABLE blobs (i int PRIMARY KEY, b bytea); ALTER TABLE blobs ALTER b SET STORAGE EXTERNAL;
     INSERT INTO blobs SELECT i, pg_read_binary_file('${blobsFile}', i::bigint * ${mebibyte}, ${mebibyte})
       FROM generate_series(0, ${blobs - 1}) i`,
    name,
  );
}
