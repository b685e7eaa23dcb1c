import type { Connection } from '../../postgres/connection.ts';
import { shorten, sqlFailure } from './run-checks.ts';

/** Runs each text, in order; one text may be several statements, which are then one transaction. @throws Failure SqlFailed */
export async function runAfterSql(connection: Connection, texts: readonly string[]): Promise<void> {
  for (const text of texts) {
    try {
      await connection.query(text);
    } catch (error) {
      throw sqlFailure(`the statement ${shorten(text)} of afterSql`, error);
    }
  }
}
