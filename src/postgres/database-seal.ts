import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Connection } from './connection.ts';
import { quoteName, quoteText } from './quote.ts';

/** Of one database; another one of the same name has another oid. */
export interface SealedDatabase {
  readonly name: string;
  readonly oid: string;
}

/**
 * A setting that whoever logs in may give his own role in any database, within a transaction, and that everybody sees in
 * pg_db_role_setting from any database. Its value is the server's default: what comes behind so many zeros is too small to count.
 */
const setting = 'geqo_selection_bias';
const head = `2.${'0'.repeat(24)}`;
const macBytes = 16;
/** Far more than we write. */
const longest = 100_000;

/** Settings that are seals, whoever's: to be left out where settings are copied. A condition over an expression of SQL. */
export function isNoSeal(expression: string): string {
  return `${expression} NOT LIKE ${quoteText(`${setting}=${head}%`)}`;
}

/** The key of one request. It never leaves this process: what a server sees of a seal does not tell how to make another one. */
export function sealKeyOf(secret: string): Uint8Array {
  return createHmac('sha256', 'pgbackup: seals of a restore, version 1').update(secret).digest();
}

/** A statement that leaves a text with a database, for the current role; it takes the place of the one before. */
export function sealStatement(database: SealedDatabase, key: Uint8Array, text: string): string {
  const value = quoteText(makeSeal(database, key, text));
  return `ALTER ROLE CURRENT_USER IN DATABASE ${quoteName(database.name)} SET ${setting} = ${value}`;
}

/** A decimal fraction that holds the text, and a proof that who wrote it had the key and meant this database. */
export function makeSeal(database: SealedDatabase, key: Uint8Array, text: string): string {
  const bytes = Buffer.concat([proofOf(database, key, text), Buffer.from(text)]);
  // The one in front keeps zeros that may follow.
  return `${head}${BigInt(`0x1${bytes.toString('hex')}`)}`;
}

/** The text of a seal; undefined: it is none, or was made with another key or for another database. */
export function openSeal(database: SealedDatabase, key: Uint8Array, value: string): string | undefined {
  if (value.length > longest || !value.startsWith(head)) return undefined;
  const digits = value.slice(head.length);
  if (!/^[1-9][0-9]+$/.test(digits)) return undefined;
  const hex = BigInt(digits).toString(16);
  if (!hex.startsWith('1') || hex.length % 2 === 0) return undefined;
  const bytes = Buffer.from(hex.slice(1), 'hex');
  if (bytes.length < macBytes) return undefined;
  const text = bytes.subarray(macBytes).toString('utf8');
  return timingSafeEqual(bytes.subarray(0, macBytes), proofOf(database, key, text)) ? text : undefined;
}

/**
 * Texts that were left with databases, by their names. What others wrote there is passed over. `condition`: SQL over the database `d` and
 * the setting's row `r`. @throws Failure of the connection
 */
export async function readSeals(
  connection: Connection,
  key: Uint8Array,
  names: readonly string[],
  condition = 'true',
): Promise<ReadonlyMap<string, readonly string[]>> {
  const rows = await connection.query<SealedDatabase & { readonly value: string }>(
    `SELECT d.datname AS name, d.oid::text AS oid, substr(s.setting, ${setting.length + 2}) AS value
       FROM pg_catalog.pg_database d
       JOIN pg_catalog.pg_db_role_setting r ON r.setdatabase = d.oid
      CROSS JOIN LATERAL unnest(r.setconfig) AS s (setting)
      WHERE d.datname = ANY ($1) AND NOT (${isNoSeal('s.setting')}) AND length(s.setting) < ${longest}
        AND ${condition}`,
    [names],
  );
  const found = new Map<string, readonly string[]>();
  for (const row of rows) {
    const text = openSeal(row, key, row.value);
    if (text !== undefined) found.set(row.name, [...(found.get(row.name) ?? []), text]);
  }
  return found;
}

function proofOf({ name, oid }: SealedDatabase, key: Uint8Array, text: string): Buffer {
  const proof = createHmac('sha256', key).update(JSON.stringify([name, oid, text]));
  return proof.digest().subarray(0, macBytes);
}
