import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { libpqEnvironment } from '../../src/postgres/libpq-environment.ts';
import { findPrograms, findStdbuf, type Programs } from '../../src/postgres/programs.ts';
import type { DumpTools } from '../../src/postgres/dump.ts';
import type { Server } from '../../src/postgres/server.ts';
import { systemClock } from '../../src/support/clock.ts';
import { startPostgres, type Postgres, type PostgresOptions } from '../servers/postgres.ts';

export interface TemporaryPostgres {
  readonly postgres: Postgres;
  /** How product code reaches it. */
  readonly server: Server;
  /** A new folder, removed with the server. */
  folder(): Promise<string>;
  /** The server's own programs, with an environment for `server` (default: the superuser). */
  tools(server?: Server, programs?: Programs): Promise<DumpTools>;
  remove(): Promise<void>;
}

/** A server in a temporary folder. */
export async function temporaryPostgres(
  options: Omit<PostgresOptions, 'dir'>,
  tls: Server['tls'] = { mode: 'disable' },
): Promise<TemporaryPostgres> {
  const root = await mkdtemp(join(tmpdir(), 'pgb-'));
  await chmod(root, 0o755);
  const postgres = await startPostgres({ ...options, dir: join(root, 'pg') });
  const { host, port, user, password } = postgres;
  const server: Server = { host, port, user, password, tls, database: 'postgres' };
  const folder = () => mkdtemp(join(root, 'x-'));
  return {
    postgres,
    server,
    folder,
    async tools(as = server, programs) {
      const [own] = await findPrograms([options.binDir], systemClock, new AbortController().signal);
      const chosen = programs ?? own;
      if (chosen === undefined) throw new Error(`no programs in ${options.binDir}`);
      const stdbuf = await findStdbuf();
      return {
        programs: chosen,
        environment: await libpqEnvironment(as, join(await folder(), 'libpq')),
        clock: systemClock,
        ...(stdbuf === undefined ? {} : { stdbuf }),
      };
    },
    async remove() {
      await postgres.stop();
      await rm(root, { recursive: true, force: true });
    },
  };
}
