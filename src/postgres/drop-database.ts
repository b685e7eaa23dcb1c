import { Failure, toFailure } from '../api/failure.ts';
import type { Connection } from './connection.ts';
import { sqlstateOf } from './create-database.ts';
import { quoteName, quoteText } from './quote.ts';

/** Opens another database of the same server. */
export type Connect = (database: string) => Promise<Connection>;

/**
 * Drops a database with whoever is connected to it; well if it is not there. With `connect` (for a database that is ours alone) what would
 * keep it goes first: it is a template no more, its subscriptions are dropped without a word to their publishers, logical slots are dropped
 * and prepared transactions rolled back. @throws Failure TargetBusy, PermissionDenied … with what still holds it; those of a connection as they are
 */
export async function dropDatabase(connection: Connection, name: string, connect?: Connect): Promise<void> {
  try {
    await drop(connection, name);
  } catch (error) {
    if (connect === undefined || sqlstateOf(toFailure(error)) === undefined) throw error;
    const kept = await release(connection, name, connect);
    await drop(connection, name).catch((last: unknown) => {
      throw kept === undefined ? last : withReason(toFailure(last), kept);
    });
  }
}

async function drop(connection: Connection, name: string): Promise<void> {
  await connection.query(`DROP DATABASE IF EXISTS ${quoteName(name)} WITH (FORCE)`);
}

/** @returns why something could not be let go of */
async function release(connection: Connection, name: string, connect: Connect): Promise<Failure | undefined> {
  const [found] = await connection.query<{ oid: string; template: boolean; open: boolean }>(
    `SELECT oid::text AS oid, datistemplate AS template, datallowconn AND datconnlimit = -1 AS open
       FROM pg_database WHERE datname = $1`,
    [name],
  );
  if (found === undefined) return undefined;
  try {
    const database = quoteName(name);
    if (found.template) await connection.query(`ALTER DATABASE ${database} IS_TEMPLATE false`);
    const subscriptions = await connection.query<{ name: string }>(
      'SELECT subname AS name FROM pg_subscription WHERE subdbid = $1::oid',
      [found.oid],
    );
    const slots = await connection.query<{ name: string; pid: number | null }>(
      'SELECT slot_name::text AS name, active_pid AS pid FROM pg_replication_slots WHERE database = $1',
      [name],
    );
    const prepared = await connection.query<{ gid: string }>('SELECT gid FROM pg_prepared_xacts WHERE database = $1', [
      name,
    ]);
    for (const { pid } of slots) if (pid !== null) await connection.query('SELECT pg_terminate_backend($1)', [pid]);
    if (subscriptions.length + slots.length + prepared.length === 0) return undefined;
    if (!found.open) await connection.query(`ALTER DATABASE ${database} ALLOW_CONNECTIONS true CONNECTION LIMIT -1`);
    const inside = await connect(name);
    try {
      for (const { gid } of prepared) await inside.query(`ROLLBACK PREPARED ${quoteText(gid)}`);
      for (const { name: slot } of slots) await inside.query('SELECT pg_drop_replication_slot($1)', [slot]);
      for (const { name: subscription } of subscriptions) {
        const subject = `SUBSCRIPTION ${quoteName(subscription)}`;
        await inside.query(`ALTER ${subject} DISABLE`);
        await inside.query(`ALTER ${subject} SET (slot_name = NONE)`);
        await inside.query(`DROP ${subject}`);
      }
    } finally {
      await inside.close();
    }
    return undefined;
  } catch (error) {
    return toFailure(error);
  }
}

function withReason(failure: Failure, kept: Failure): Failure {
  return new Failure(failure.reason, `${failure.message} (${kept.message})`, { cause: failure.cause });
}
