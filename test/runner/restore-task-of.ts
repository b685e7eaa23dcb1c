import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { manifestKey } from '../../src/domain/layout.ts';
import type { CleanupTask, RestoreTask, TaskLocation } from '../../src/domain/task.ts';
import type { Postgres } from '../servers/postgres.ts';
import { backupTaskOf } from './run-with.ts';

export const requestUid = 'c0ffee00-1234-4000-8000-000000000001';
/** What names of its scratch databases begin with. */
export const requestDigits = 'c0ffee001234';

let requests = 0;

/** Each a request of its own, but with the same digits in names. */
function newRequest(): RestoreTask['request'] {
  requests += 1;
  return { name: 'request', uid: `${requestUid.slice(0, -4)}${requests.toString(16).padStart(4, '0')}` };
}

/** A restore of the backup of `backupTaskOf` at a place, to a test server; everything else as changed. */
export function restoreTaskOf(
  server: Pick<Postgres, 'host' | 'port'>,
  copies: readonly TaskLocation[],
  changes: Partial<RestoreTask> = {},
): RestoreTask {
  const { source, backup, namespace, policy } = backupTaskOf(server, {});
  return {
    version: 1,
    kind: 'restore',
    namespace,
    request: newRequest(),
    source: {
      backup: {
        name: backup.name,
        uid: backup.uid,
        copies: copies.map((location) => ({
          location,
          manifestKey: manifestKey(namespace, policy.name, backup.name),
        })),
      },
    },
    target: { server: source, databases: [{ source: 'shop', target: 'shop' }] },
    mode: 'Replace',
    keepPrevious: false,
    clean: false,
    select: { schemaOnly: false, dataOnly: false },
    options: { noOwner: false, noPrivileges: false, globals: false, analyze: true },
    afterSql: [],
    checks: [],
    waitForServerSeconds: 5,
    waitForSecretSeconds: 1,
    settleSeconds: 0,
    ...changes,
  };
}

export function cleanupTaskOf(task: RestoreTask): CleanupTask {
  const { version, namespace, request, target, keepPrevious, waitForServerSeconds, waitForSecretSeconds } = task;
  return {
    version,
    kind: 'cleanup',
    namespace,
    request,
    target,
    keepPrevious,
    waitForServerSeconds,
    waitForSecretSeconds,
  };
}

/** The same of the first database's dump, as a file that anybody could have made: with several connections it is fetched to disk. */
export async function asFile(task: RestoreTask): Promise<RestoreTask> {
  const { source, target } = task;
  const location = source.backup?.copies[0]?.location;
  const [database] = target.databases;
  const root = location?.place.directory?.path;
  if (location === undefined || database === undefined || root === undefined) throw new Error('no dump in a folder');
  const files = await readdir(root, { recursive: true });
  const key = files.find((name) => basename(name).startsWith(`${database.source}.dump`));
  return {
    ...task,
    source: { file: { location, key } },
    target: { ...target, databases: [{ target: database.target }] },
  };
}

export async function sha256OfManifest(location: TaskLocation): Promise<string> {
  const { namespace, policy, backup } = backupTaskOf({ host: '', port: 0 }, {});
  const path = join(location.place.directory?.path ?? '', manifestKey(namespace, policy.name, backup.name));
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

/** Names of all databases of a server. */
export async function listAll(server: Pick<Postgres, 'sql'>): Promise<readonly string[]> {
  const rows = await server.sql<{ name: string }>('SELECT datname AS name FROM pg_database ORDER BY 1');
  return rows.map(({ name }) => name);
}
