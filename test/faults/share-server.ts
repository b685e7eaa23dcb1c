import '../servers/use-private-programs.ts';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { listBinDirs, startPostgres } from '../servers/postgres.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import type { ServerAddress } from './database-server.ts';
import { seedDatabase, seedLargeDatabase, sizes, templateOf, writeBlobs } from './seed-databases.ts';

export interface SharedServer extends ServerAddress {
  /** Random bytes, for more large databases. */
  readonly blobsFile: string;
  /** A folder that outlives the test files. */
  readonly folder: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    /** Undefined where PostgreSQL is not installed. */
    readonly faultsServer: SharedServer | undefined;
  }
}

/**
 * Before the files with fault cases: one PostgreSQL server for all of them, with templates, and two databases that nobody
 * changes: `big`, and `large`, whose dump has 336 MB. Gives back what stops it.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const binDir = (await listBinDirs(process.env['POSTGRES_BINDIRS'])).at(-1);
  if (binDir === undefined) {
    project.provide('faultsServer', undefined);
    return async () => undefined;
  }
  const temporary = await makeTemporaryFolder();
  const folder = temporary.path;
  await chmod(folder, 0o755);
  const settings = { max_connections: '200', shared_buffers: '256MB' };
  const server = await startPostgres({ binDir, dir: join(folder, 'pg'), settings });
  const stop = async (): Promise<void> => {
    await server.stop();
    await temporary.remove();
  };
  try {
    const blobsFile = join(folder, 'blobs');
    await writeBlobs(blobsFile);
    for (const size of sizes) await seedDatabase(server, templateOf(size), size);
    await server.sql(`CREATE DATABASE big TEMPLATE ${templateOf('big')}`);
    await server.sql(`CREATE DATABASE rows TEMPLATE ${templateOf('small')}`);
    await seedLargeDatabase(server, 'large', blobsFile);
    const { host, port, user, password } = server;
    project.provide('faultsServer', { host, port, user, password, binDir, blobsFile, folder });
  } catch (error) {
    await stop();
    throw error;
  }
  return stop;
}
