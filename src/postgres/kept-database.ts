import { toFailure } from '../api/failure.ts';
import type { Connection } from './connection.ts';
import { readSeals, sealKeyOf, sealStatement, type SealedDatabase } from './database-seal.ts';

/**
 * A mark, which every version can read: the key is no secret. It tells a database that a restore kept from one that only has such a name,
 * and is for that name and oid: a database that is put to use again under another name is none.
 */
const key = sealKeyOf('kept by a restore');
/** As restores name them: no mark hides a database that is called otherwise. */
const dated = /_\d{8}t\d{6}z(_\d+)?$/;
const text = JSON.stringify({ v: 1, is: 'kept' });

/** A statement that marks a database which a restore has replaced and that stays beside. */
export function keptStatement(database: SealedDatabase): string {
  return sealStatement(database, key, text);
}

/**
 * Names of databases that restores kept, of those that are given. A mark counts when it is of a role that has the rights of the database's
 * owner: others could hide what is not theirs. None when the server does not tell: then one more is backed up.
 */
export async function findKept(connection: Connection, names: readonly string[]): Promise<ReadonlySet<string>> {
  try {
    const may = names.filter((name) => dated.test(name));
    if (may.length === 0) return new Set();
    const marks = await readSeals(connection, key, may, `pg_catalog.pg_has_role(r.setrole, d.datdba, 'USAGE')`);
    return new Set([...marks].filter(([, texts]) => texts.includes(text)).map(([name]) => name));
  } catch (error) {
    if (toFailure(error).reason === 'Aborted') throw error;
    return new Set();
  }
}
