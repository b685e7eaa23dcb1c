import { Failure, toFailure } from '../api/failure.ts';
import type { Connection } from './connection.ts';
import { sqlstateOf } from './create-database.ts';
import { commentStatement } from './database-properties.ts';
import { quoteName } from './quote.ts';

/** An extension whose CREATE looks at the database's name. */
interface BoundExtension {
  readonly extension: string;
  /** The one database of the server that it goes into. */
  readonly setting: string;
  /** The other name that it takes: that of its own regression tests. */
  readonly otherName: string;
}

const pgCron: BoundExtension = {
  extension: 'pg_cron',
  setting: 'cron.database_name',
  otherName: 'contrib_regression',
};

export const boundHint =
  'pg_cron belongs to the database that cron.database_name says: create that one, empty, and restore into it with mode InPlace; or leave it out with options.without: [extensions].';

/** Who takes its database's place ends its scheduler (with exit code 0: PostgreSQL starts it no more). */
export const schedulerEnded =
  'pg_cron’s scheduler was connected to the database that was replaced, and ended with it: no job runs until the server is restarted';

/** The database that the extension is bound to; undefined: it is not among these, or nothing binds it. */
export async function findBound(connection: Connection, extensions: readonly string[]): Promise<string | undefined> {
  if (!extensions.includes(pgCron.extension)) return undefined;
  const [row] = await connection.query<{ name: string | null }>('SELECT current_setting($1, true) AS name', [
    pgCron.setting,
  ]);
  return row?.name ?? undefined;
}

/** The name of a scratch database that a dead run left under the other name: its comment matches this POSIX pattern. */
export async function findLeftBound(session: Connection, pattern: string): Promise<readonly string[]> {
  const rows = await session.query<{ name: string }>(
    `SELECT datname::text AS name FROM pg_database
      WHERE datname = $1 AND shobj_description(oid, 'pg_database') ~ $2`,
    [pgCron.otherName, pattern],
  );
  return rows.map(({ name }) => name);
}

/**
 * Makes the extension in a new database that nobody uses, which has the other name meanwhile: what the archive says then (IF NOT EXISTS) finds
 * it there. `open` connects to it.
 * @throws Failure TargetBusy when there is a database of the other name
 */
export async function makeBound(
  session: Connection,
  scratch: string,
  open: (database: string) => Promise<Connection>,
): Promise<void> {
  const { extension, otherName } = pgCron;
  const rename = async (from: string, to: string): Promise<void> => {
    await session.query(`ALTER DATABASE ${quoteName(from)} RENAME TO ${quoteName(to)}`);
  };
  // By this whoever comes after a death finds it.
  await session.query(commentStatement(scratch, scratch));
  try {
    await rename(scratch, otherName);
  } catch (error) {
    const failure = toFailure(error);
    if (sqlstateOf(failure) !== '42P04') throw failure;
    const said = `${extension} takes no scratch database but one that is called "${otherName}", and there is one`;
    throw new Failure('TargetBusy', said, { hint: boundHint, cause: error });
  }
  try {
    const inside = await open(otherName);
    try {
      await inside.query('SET search_path = public');
      await inside.query(`CREATE EXTENSION ${quoteName(extension)}`);
    } finally {
      await inside.close();
    }
  } finally {
    // Waits some seconds for a session that is still leaving.
    await rename(otherName, scratch);
  }
}
