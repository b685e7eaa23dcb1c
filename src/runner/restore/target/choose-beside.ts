import { Failure, toFailure } from '../../../api/failure.ts';
import { connectClient, type Connection } from '../../../postgres/connection.ts';
import type { Server } from '../../../postgres/server.ts';
import { waitForServer, type WaitOptions } from '../../../postgres/wait-for-server.ts';

const lookMilliseconds = 30_000;

/** CREATE DATABASE copies it unless told otherwise, and fails for everybody while a session sits in it. */
const template = 'template1';

/**
 * The database that a restore sits in while it works: none of its targets, for nobody can rename the database that he is connected to,
 * and never a template. The one that the task names if it may be; else `postgres`; else the first one by name that there is. Waits for
 * the server.
 * @throws Failure SpecInvalid when there is none, and those of connecting
 */
export async function chooseBeside(
  server: Server,
  targets: readonly string[],
  waiting: WaitOptions,
  signal: AbortSignal,
): Promise<string> {
  const { database: wanted } = server;
  if (wanted !== template && !targets.includes(wanted)) {
    await waitForServer(server, waiting, signal);
    return wanted;
  }
  // For a moment anything will do: who creates a database waits some seconds for others to leave its template.
  const connection = await lookFrom(server, [...new Set([wanted, 'postgres', template])], waiting, signal);
  try {
    const rows = await connection.query<{ name: string }>(
      `SELECT datname AS name FROM pg_database
        WHERE datallowconn AND NOT datistemplate AND datname <> '${template}' AND datname <> ALL ($1)
          AND datname !~ '^pgbackup_(restore|replaced)_' AND has_database_privilege(oid, 'CONNECT')
        ORDER BY datname <> 'postgres', datname COLLATE "C" LIMIT 1`,
      [targets],
    );
    const [found] = rows;
    if (found !== undefined) return found.name;
  } finally {
    await connection.close();
  }
  throw new Failure(
    'SpecInvalid',
    'every database that a restore could be connected to meanwhile is one of its targets',
    {
      hint: 'CREATE DATABASE an empty one, and name it in target.postgres.maintenanceDatabase if it is not called postgres',
    },
  );
}

async function lookFrom(
  server: Server,
  names: readonly string[],
  waiting: WaitOptions,
  signal: AbortSignal,
): Promise<Connection> {
  let first: Failure | undefined;
  for (const database of names) {
    try {
      await waitForServer({ ...server, database }, waiting, signal);
      return await connectClient(server, database, { timeoutMs: lookMilliseconds }, signal);
    } catch (error) {
      const failure = toFailure(error);
      // Of a target that is to be created there is nothing yet.
      if (!['DatabaseMissing', 'DatabaseClosed', 'PermissionDenied'].includes(failure.reason)) throw failure;
      first ??= failure;
    }
  }
  throw first ?? new Failure('Internal', 'there was nothing to look from');
}
