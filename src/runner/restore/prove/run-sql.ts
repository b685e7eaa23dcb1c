import { shorten, sqlFailure } from './run-checks.ts';

/**
 * Runs each text of the request, in order; one text may be several statements, which are then one transaction.
 * @throws Failure SqlFailed
 */
export async function runSql(
  of: 'beforeSql' | 'afterSql',
  run: (text: string) => Promise<unknown>,
  texts: readonly string[],
): Promise<void> {
  for (const text of texts) {
    try {
      await run(text);
    } catch (error) {
      throw sqlFailure(`the statement ${shorten(text)} of ${of}`, error);
    }
  }
}
