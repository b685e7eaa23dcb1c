import type { OpenTransaction } from '../../../postgres/open-transaction.ts';
import type { RestoreProgress } from '../tell/restore-progress.ts';
import type { ProofWanted } from '../wanted.ts';
import { askWithin, checksOf, runChecks } from './run-checks.ts';
import { runSql } from './run-sql.ts';

/**
 * afterSql and the checks of one database in the transaction that has loaded it, as `proveDatabase` does it in sessions of their own:
 * names mean what they mean to whoever uses the database, and what afterSql sets does not count for the checks.
 * @throws Failure SqlFailed, CheckFailed
 */
export async function proveWithin(
  proof: Pick<ProofWanted, 'afterSql' | 'checks'>,
  target: string,
  transaction: OpenTransaction,
  progress: Pick<RestoreProgress, 'at'>,
): Promise<void> {
  await transaction.settle();
  if (proof.afterSql.length > 0) {
    await runSql('afterSql', (text) => transaction.run(text), proof.afterSql);
    await transaction.settle();
  }
  const checks = checksOf(proof.checks, target);
  if (checks.length === 0) return;
  progress.at('Checking', target);
  await runChecks((sql) => askWithin(transaction, sql), checks);
}

/** beforeSql, when the transaction has begun; what it sets does not count for the load. @throws Failure SqlFailed */
export async function prepareWithin(beforeSql: readonly string[], transaction: OpenTransaction): Promise<void> {
  if (beforeSql.length === 0) return;
  await runSql('beforeSql', (text) => transaction.run(text), beforeSql);
  await transaction.settle();
}
