import '../servers/use-private-programs.ts';
import { execFile } from 'node:child_process';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';
import { makeAuthority, type Certificate } from '../servers/certificates.ts';
import { listBinDirs, startPostgres } from '../servers/postgres.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import type { ServerAddress } from './database-server.ts';
import { seedDatabase, seedLargeDatabase, sizes, templateOf, writeBlobs } from './seed-databases.ts';

const run = promisify(execFile);

export interface SharedServer extends ServerAddress {
  /** Random bytes, for more large databases. */
  readonly blobsFile: string;
  /** A folder that outlives the test files. */
  readonly folder: string;
  /** It speaks TLS: runs connect to it so, and further servers of cases have this certificate. */
  readonly tls?: Certificate;
}

declare module 'vitest' {
  interface ProvidedContext {
    /** Undefined where PostgreSQL is not installed. */
    readonly faultsServer: SharedServer | undefined;
    /** Another one, which speaks TLS. Undefined where no build of PostgreSQL does. */
    readonly faultsTlsServer: SharedServer | undefined;
  }
}

/**
 * Before the files with fault cases: one PostgreSQL server for all of them, and one that speaks TLS, each with templates and two
 * databases that nobody changes: `big`, and `large`, whose dump has 336 MB. Gives back what stops them.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
  const endings: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of endings.toReversed()) await end();
  };
  try {
    const newest = binDirs.at(-1);
    const speaking = await findSpeaking(binDirs);
    const plain = newest === undefined ? undefined : await share(newest, false, endings);
    project.provide('faultsServer', plain);
    project.provide('faultsTlsServer', speaking === undefined ? undefined : await share(speaking, true, endings));
  } catch (error) {
    await stop();
    throw error;
  }
  return stop;
}

/** The newest build that can TLS: not every one is made with it. */
async function findSpeaking(binDirs: readonly string[]): Promise<string | undefined> {
  for (const binDir of binDirs.toReversed()) {
    const { stdout } = await run(join(binDir, 'pg_config'), ['--configure']).catch(() => ({ stdout: '' }));
    if (/--with-(?:openssl|ssl)/.test(stdout)) return binDir;
  }
  return undefined;
}

async function share(binDir: string, overTls: boolean, endings: (() => Promise<unknown>)[]): Promise<SharedServer> {
  const temporary = await makeTemporaryFolder();
  endings.push(() => temporary.remove());
  const folder = temporary.path;
  await chmod(folder, 0o755);
  const tls = overTls ? await (await makeAuthority(join(folder, 'ca'))).issue({ host: '127.0.0.1' }) : undefined;
  const settings = { max_connections: '200', shared_buffers: '256MB' };
  const options = { binDir, dir: join(folder, 'pg'), settings, ...(tls === undefined ? {} : { tls }) };
  const server = await startPostgres(options);
  endings.push(() => server.stop());
  const blobsFile = join(folder, 'blobs');
  await writeBlobs(blobsFile);
  for (const size of sizes) await seedDatabase(server, templateOf(size), size);
  await server.sql(`CREATE DATABASE big TEMPLATE ${templateOf('big')}`);
  await server.sql(`CREATE DATABASE rows TEMPLATE ${templateOf('small')}`);
  await seedLargeDatabase(server, 'large', blobsFile);
  const { host, port, user, password } = server;
  return { host, port, user, password, binDir, blobsFile, folder, ...(tls === undefined ? {} : { tls }) };
}
