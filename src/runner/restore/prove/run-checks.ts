import { Failure, toFailure } from '../../../api/failure.ts';
import type { Connection } from '../../../postgres/connection.ts';
import type { OpenTransaction } from '../../../postgres/open-transaction.ts';
import { sqlstateOf } from '../../../postgres/create-database.ts';
import { hideValues } from '../../../postgres/hide-values.ts';
import { LeftTransaction } from '../../../postgres/left-transaction.ts';
import { cutToBytes } from '../../../support/cut-to-bytes.ts';
import type { Check } from '../wanted.ts';

/** A check that belongs to no target would never fail. @throws Failure SpecInvalid */
export function checkChecks(checks: readonly Check[], names: readonly string[]): void {
  for (const { database, sql } of checks) {
    if (database === undefined && names.length > 1) {
      throw new Failure('SpecInvalid', `with several databases a check must name its own: ${sql.slice(0, 200)}`);
    }
    if (database !== undefined && !names.includes(database)) {
      throw new Failure('SpecInvalid', `a check is for the database "${database}", which is no target`, {
        hint: `the targets are: ${names.join(', ')}`,
      });
    }
  }
}

/** Those of one target. */
export function checksOf(checks: readonly Check[], name: string): readonly Check[] {
  return checks.filter(({ database }) => database === name);
}

const shownBytes = 200;

/** Asks one query, read-only: the first column of its first row as the server prints it; undefined: no row, or NULL. */
export type AskCheck = (sql: string) => Promise<string | undefined>;

/**
 * Asks each check's query, and compares.
 * @throws Failure CheckFailed for the first that does not hold, SqlFailed for a query that fails
 */
export async function runChecks(ask: AskCheck, checks: readonly Check[]): Promise<void> {
  for (const check of checks) {
    const actual = await ask(check.sql).catch((error: unknown) => {
      throw sqlFailure(`the query of the check ${shorten(check.sql)}`, error);
    });
    if (holds(actual, check)) continue;
    const wanted = `${words[check.operator]} ${cutToBytes(check.value, shownBytes)}`;
    const got = actual === undefined ? 'nothing' : cutToBytes(actual, shownBytes);
    throw new Failure('CheckFailed', `the check ${shorten(check.sql)} gave ${got}, wanted ${wanted}`);
  }
}

const words = {
  Equal: 'equal to',
  NotEqual: 'not equal to',
  Less: 'less than',
  LessOrEqual: 'at most',
  Greater: 'greater than',
  GreaterOrEqual: 'at least',
} as const satisfies Record<Check['operator'], string>;

/** Undefined: no row, or NULL, which is neither equal nor unequal to anything. */
export function holds(actual: string | undefined, { operator, value }: Pick<Check, 'operator' | 'value'>): boolean {
  if (actual === undefined) return false;
  return verdicts[operator](compare(actual, value));
}

const verdicts: Readonly<Record<Check['operator'], (order: number) => boolean>> = {
  Equal: (order) => order === 0,
  NotEqual: (order) => order !== 0,
  Less: (order) => order < 0,
  LessOrEqual: (order) => order <= 0,
  Greater: (order) => order > 0,
  GreaterOrEqual: (order) => order >= 0,
};

const decimal = /^\s*([+-]?)0*(\d*)(?:\.(\d*?)0*)?\s*$/;

function compare(a: string, b: string): number {
  const numbers = asNumbers(a, b);
  if (numbers !== undefined) return numbers;
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** By their digits where both are plain decimals: counts and sums may have more of them than a double keeps. */
function asNumbers(a: string, b: string): number | undefined {
  const [left, right] = [a, b].map(scale);
  if (left !== undefined && right !== undefined) {
    const places = Math.max(left.places, right.places);
    const difference =
      left.digits * 10n ** BigInt(places - left.places) - right.digits * 10n ** BigInt(places - right.places);
    if (difference === 0n) return 0;
    return difference < 0n ? -1 : 1;
  }
  const [x, y] = [a, b].map((text) => (text.trim() === '' ? Number.NaN : Number(text)));
  if (x === undefined || y === undefined || !Number.isFinite(x) || !Number.isFinite(y)) return undefined;
  return Math.sign(x - y);
}

function scale(text: string): { readonly digits: bigint; readonly places: number } | undefined {
  const match = decimal.exec(text);
  if (match === null || !/\d/.test(text) || text.length > 1000) return undefined;
  const [, sign = '', whole = '', fraction = ''] = match;
  const digits = BigInt(`${whole}${fraction}` === '' ? '0' : `${whole}${fraction}`);
  return { digits: sign === '-' ? -digits : digits, places: fraction.length };
}

/** Through a cursor: of a query with a million rows one comes. */
const declare = (sql: string): string => `DECLARE pgbackup_check NO SCROLL CURSOR FOR ${sql.replace(/;\s*$/, '')}`;
const fetch = 'FETCH 1 FROM pgbackup_check';

/** In a transaction of its own. */
export async function askAlone(connection: Connection, sql: string): Promise<string | undefined> {
  await connection.query('BEGIN READ ONLY');
  try {
    await connection.query(declare(sql));
    const [row] = await connection.texts(fetch);
    return row?.[0] ?? undefined;
  } finally {
    await connection.query('ROLLBACK').catch(() => {});
  }
}

/** In the transaction of a load, which goes on as if nothing had been asked. */
export async function askWithin({ ask }: Pick<OpenTransaction, 'ask'>, sql: string): Promise<string | undefined> {
  await ask('SAVEPOINT pgbackup_check');
  await ask('SET LOCAL transaction_read_only = on');
  await ask(declare(sql));
  const value = await ask(fetch);
  await ask('ROLLBACK TO SAVEPOINT pgbackup_check');
  return value;
}

const outside =
  'what runs in no transaction must be the only statement of its text; with mode InPlace afterSql is part of the load’s transaction: run it yourself after the restore, or restore with mode Replace or Create';

/** What is ours stays what it is: a lost connection, an abort, an end of the transaction. */
export function sqlFailure(subject: string, error: unknown): Failure {
  const failure = toFailure(error);
  if (failure instanceof LeftTransaction) return failure;
  if (['ConnectionLost', 'ServerUnreachable', 'Aborted', 'DeadlineExceeded', 'DiskFull'].includes(failure.reason)) {
    return failure;
  }
  const { cause } = failure;
  const message = cause instanceof Error ? cause.message : failure.message;
  // Active transaction: VACUUM, CREATE INDEX CONCURRENTLY, ALTER SYSTEM …
  const hint = sqlstateOf(failure) === '25001' ? { hint: outside } : {};
  return new Failure('SqlFailed', `${subject} failed: ${hideValues(message)}`, { cause: error, ...hint });
}

/** One line of at most 200 bytes. */
export function shorten(sql: string): string {
  return cutToBytes(sql.replaceAll(/\s+/g, ' ').trim(), shownBytes);
}
