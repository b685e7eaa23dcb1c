import { findFiring } from '../../../postgres/find-firing.ts';
import type { OpenTransaction } from '../../../postgres/open-transaction.ts';
import type { PreparedInput } from '../plan/prepare-input.ts';
import type { LoadWanted } from '../wanted.ts';

/** Rows alone come into tables that have their triggers, which may alter them, and write what nobody saved. @returns a note, if there are any */
export async function tellTriggers(
  entries: PreparedInput['entries'],
  { dataOnly }: Pick<LoadWanted['select'], 'dataOnly'>,
  { ask }: Pick<OpenTransaction, 'ask'>,
): Promise<readonly string[]> {
  if (!dataOnly) return [];
  const firing = await findFiring(ask, entries ?? []);
  if (firing === undefined) return [];
  return [
    `triggers ran for the rows: ${firing}; beforeSql: [ALTER TABLE … DISABLE TRIGGER USER] lets them in as they were saved`,
  ];
}
