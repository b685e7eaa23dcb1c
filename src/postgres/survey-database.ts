import type { Connection } from './connection.ts';
import { internalOptionPattern } from './internal-options.ts';

/** What decides how a database is dumped, and what the dump cannot hold. */
export interface DatabaseSurvey {
  /** Columns have options that most servers refuse: see internal-options.ts. */
  readonly internalOptions: boolean;
  readonly largeObjects: boolean;
  /** Of a standby, where they cannot be read: `schema.table`, at most ten. */
  readonly unreadableTables: readonly string[];
  readonly unreadableCount: number;
  /** Event triggers that ran when we logged in. */
  readonly loginTriggers: readonly string[];
  /** Settings that make the server pass over damaged pages, and that this user may not switch off. */
  readonly hidesDamage: readonly string[];
}

/** When nobody could look: internal options are left out if there are any. */
export const unknownSurvey: DatabaseSurvey = {
  internalOptions: true,
  largeObjects: false,
  unreadableTables: [],
  unreadableCount: 0,
  loginTriggers: [],
  hidesDamage: [],
};

/** Looks at the database that `connection` is connected to, on any server from 12. */
export async function surveyDatabase(connection: Connection, serverMajor: number): Promise<DatabaseSurvey> {
  const [row] = await connection.query<{
    options: boolean;
    objects: boolean;
    tables: string[] | null;
    count: number;
    triggers: string[] | null;
    hiding: string[] | null;
  }>(
    `SELECT EXISTS (SELECT FROM pg_attribute a CROSS JOIN LATERAL unnest(a.attoptions) o
                     WHERE a.attrelid >= 16384 AND a.attoptions IS NOT NULL AND o ~ $1) AS options,
            EXISTS (SELECT FROM pg_largeobject_metadata) AS objects,
            unread.tables, unread.count,
            ${serverMajor >= 17 ? loginTriggers : 'NULL::text[]'} AS triggers,
            (SELECT array_agg(name ORDER BY name) FROM pg_settings
              WHERE name IN ('zero_damaged_pages', 'ignore_checksum_failure') AND setting = 'on') AS hiding
       FROM (SELECT (array_agg(n.nspname || '.' || c.relname ORDER BY n.nspname, c.relname))[1:10] AS tables,
                    count(*)::int AS count
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE c.relpersistence = 'u' AND c.relkind IN ('r', 'm') AND pg_is_in_recovery()) AS unread`,
    [internalOptionPattern],
  );
  return {
    internalOptions: row?.options ?? false,
    largeObjects: row?.objects ?? false,
    unreadableTables: row?.tables ?? [],
    unreadableCount: row?.count ?? 0,
    loginTriggers: row?.triggers ?? [],
    hidesDamage: row?.hiding ?? [],
  };
}

/** Those of replicas only do not run in our sessions. With `event_triggers` off none does. */
const loginTriggers = `(SELECT (array_agg(evtname::text ORDER BY evtname))[1:10] FROM pg_event_trigger
              WHERE evtevent = 'login' AND evtenabled IN ('O', 'A') AND current_setting('event_triggers') = 'on')`;
