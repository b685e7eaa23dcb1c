import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Archive, LoadOptions, LoadTools } from '../../src/postgres/load-types.ts';
import { findPrograms, programPath, type Programs } from '../../src/postgres/programs.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { dumpDatabase } from '../../src/postgres/dump.ts';
import { collect, inPieces } from '../pipeline/streams.ts';
import { temporaryPostgres, type TemporaryPostgres } from './temporary-postgres.ts';

const run = promisify(execFile);
const never = new AbortController().signal;
const largestScript = 64 * 1024 * 1024;

/** A server to load into, with all programs there are. */
export interface LoadStand {
  readonly at: TemporaryPostgres;
  readonly major: number;
  readonly tools: LoadTools;
  /** Makes a database anew, empty. */
  readonly fresh: (database: string) => Promise<void>;
  /** As our own backups are: custom, uncompressed. */
  readonly dump: (database: string) => Promise<Buffer>;
  /** Plain SQL of pg_dump, or of pg_dumpall that connects to this database first. */
  readonly script: (database: string, args?: readonly string[], program?: 'pg_dump' | 'pg_dumpall') => Promise<Buffer>;
}

export async function openLoadStand(
  binDir: string,
  binDirs: readonly string[],
  settings: Readonly<Record<string, string>> = {},
): Promise<LoadStand> {
  const at = await temporaryPostgres({ binDir, settings });
  const own = await at.tools();
  const available: readonly Programs[] = await findPrograms(binDirs, systemClock, never);
  const tools: LoadTools = {
    available,
    serverMajor: at.postgres.major,
    server: at.server,
    environment: own.environment,
    folder: await at.folder(),
    clock: systemClock,
    random: systemRandom,
  };
  return {
    at,
    major: at.postgres.major,
    tools,
    async fresh(database) {
      const name = `"${database.replaceAll('"', '""')}"`;
      await at.postgres.sql(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await at.postgres.sql(`CREATE DATABASE ${name}`);
    },
    script: async (database, args = [], program = 'pg_dump') => {
      const env = { ...own.environment, PGDATABASE: database };
      const options = { env, encoding: 'buffer', maxBuffer: largestScript } as const;
      return (await run(programPath(own.programs, program), args, options)).stdout;
    },
    dump: (database) => collect(dumpDatabase(own, database, { lockTimeoutSeconds: 10, encoding: 'UTF8' }, never).bytes),
  };
}

export function streamOf(content: Uint8Array): Archive {
  return { kind: 'stream', format: 'custom', open: () => inPieces(content, 8192) };
}

export async function fileOf(stand: LoadStand, content: Uint8Array): Promise<Archive> {
  const path = join(await stand.at.folder(), 'a.dump');
  await writeFile(path, content);
  return { kind: 'path', format: 'custom', path };
}

export function loadOptions(database: string, changes: Partial<LoadOptions> = {}): LoadOptions {
  return {
    database,
    selection: { schemaOnly: false, dataOnly: false },
    noOwner: false,
    noPrivileges: false,
    jobs: 1,
    singleTransaction: false,
    clean: false,
    ...changes,
  };
}
