import { toFailure } from '../api/failure.ts';
import type { Connection } from './connection.ts';
import { sqlstateOf } from './create-database.ts';
import { quoteName } from './quote.ts';

/** What only a superuser may do by PostgreSQL itself; many providers give it to users of theirs, each in a way of its own. */
export type Power = 'eventTriggers' | 'publications' | 'subscriptions';

/** A try tells the truth everywhere; it is undone. */
const trials: Readonly<Record<Power, readonly string[]>> = {
  eventTriggers: [
    `CREATE FUNCTION pg_temp.pgbackup_trial() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'`,
    'CREATE EVENT TRIGGER pgbackup_trial ON ddl_command_end EXECUTE FUNCTION pg_temp.pgbackup_trial()',
  ],
  publications: ['CREATE PUBLICATION pgbackup_trial FOR ALL TABLES'],
  subscriptions: [
    `CREATE SUBSCRIPTION pgbackup_trial CONNECTION 'dbname=none password=none' PUBLICATION none
       WITH (connect = false, enabled = false, slot_name = NONE, create_slot = false)`,
  ],
};

const refused = '42501';

/** Whether the user may do it in a database that he may create things in. True also where that cannot be tried. */
export async function mayDo(connection: Connection, power: Power): Promise<boolean> {
  const [row] = await connection.query<{ can: boolean }>(
    `SELECT has_database_privilege(current_database(), 'CREATE') AND has_database_privilege(current_database(), 'TEMP')
        AND NOT pg_is_in_recovery() AS can`,
  );
  if (row?.can !== true) return true;
  return (await tryOut(connection, trials[power])) !== refused;
}

/** Whether the server has such a provider of security labels: it is looked for before everything else. */
export async function hasLabelProvider(connection: Connection, provider: string): Promise<boolean> {
  const code = await tryOut(connection, [
    `SECURITY LABEL FOR ${quoteName(provider)} ON TABLE pg_catalog.pg_class IS NULL`,
  ]);
  return code !== '22023';
}

/** The SQLSTATE of what was refused; undefined: nothing was. */
async function tryOut(connection: Connection, statements: readonly string[]): Promise<string | undefined> {
  await connection.query('BEGIN');
  try {
    for (const statement of statements) await connection.query(statement);
    return undefined;
  } catch (error) {
    const failure = toFailure(error);
    const code = sqlstateOf(failure);
    if (code === undefined) throw failure;
    return code;
  } finally {
    await connection.query('ROLLBACK').catch(() => {});
  }
}
