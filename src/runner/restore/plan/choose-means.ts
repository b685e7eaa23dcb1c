import type { Connection } from '../../../postgres/connection.ts';
import type { LoadOptions } from '../../../postgres/load-types.ts';
import type { LoadWanted } from '../wanted.ts';

const defaultJobs = 2;
const defaultMemory = '256MB';
/** What else a restore, and whoever works there meanwhile, may need. */
const sparedConnections = 3;

/** By how many connections a database is loaded, and with which settings. */
export type LoadMeans = Pick<LoadOptions, 'jobs' | 'jobsByDefault' | 'settings'>;

/**
 * What was asked for. Without that: two connections for a backup that goes beside its target, where the server has room for them and no
 * pooler counts them; and what only a database that nobody sees yet allows: that a crash of the server may lose the last moments of the
 * load (the swap writes all of it before it is done), and more memory for indexes, unless the server gives more itself.
 */
export async function chooseMeans(
  { mode, options, isBackup }: Pick<LoadWanted, 'mode' | 'options' | 'isBackup'>,
  session: Pick<Connection, 'query' | 'direct'>,
): Promise<LoadMeans> {
  const { jobs, maintenanceWorkMem, synchronousCommit } = options;
  if (mode === 'InPlace') return { jobs: jobs ?? 1 };
  const server = await lookAt(session);
  const memory = maintenanceWorkMem ?? (server.hasMemory ? undefined : defaultMemory);
  const settings = {
    ...(synchronousCommit === true ? {} : { synchronous_commit: 'off' }),
    ...(memory === undefined ? {} : { maintenance_work_mem: memory }),
  };
  if (jobs !== undefined) return { jobs, settings };
  const several = isBackup && session.direct && server.free >= defaultJobs + sparedConnections;
  return { jobs: several ? defaultJobs : 1, jobsByDefault: true, settings };
}

interface Seen {
  /** Connections that we may still open. */
  readonly free: number;
  readonly hasMemory: boolean;
}

async function lookAt(session: Pick<Connection, 'query'>): Promise<Seen> {
  const [row] = await session.query<{ ofRole: number; ofServer: number; hasMemory: boolean }>(
    `SELECT CASE WHEN r.rolconnlimit < 0 THEN 1000000
                 ELSE r.rolconnlimit - (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE usesysid = r.oid) END::int AS "ofRole",
            (pg_catalog.current_setting('max_connections')::int
              - pg_catalog.current_setting('superuser_reserved_connections')::int
              - coalesce(pg_catalog.current_setting('reserved_connections', true)::int, 0)
              - (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE usesysid IS NOT NULL))::int AS "ofServer",
            pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem'))
              >= pg_catalog.pg_size_bytes('${defaultMemory}') AS "hasMemory"
       FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`,
  );
  if (row === undefined) return { free: 0, hasMemory: false };
  return { free: Math.min(row.ofRole, row.ofServer), hasMemory: row.hasMemory };
}
