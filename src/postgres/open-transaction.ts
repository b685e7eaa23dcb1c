import { readSqlScript } from '../pipeline/sql-script.ts';
import { classifyStatement } from './classify-statement.ts';
import type { LoadSubject } from './classify-load-end.ts';
import type { LoadSession } from './load-session.ts';
import type { RunWithin } from './load-statements.ts';
import type { Server } from './server.ts';
import { loadSettings } from './steady-session.ts';

/** The transaction of a load, when all of it has run and nothing is committed yet. */
export interface OpenTransaction {
  /**
   * Takes back what the load has set: role, settings, cursors and temporary tables (one would be found before a table of the same
   * name). What it left for the end of the transaction (deferred constraints and triggers) is done now.
   */
  settle(): Promise<void>;
  /**
   * Runs SQL, of several statements if need be. What begins or ends transactions is left out or refused.
   * @throws Failure of the server; LeftTransaction when a statement ended the transaction all the same
   */
  run(text: string): Promise<void>;
  /** Runs one statement: the first column of its first row as the server prints it; undefined: no row, or NULL. */
  ask(text: string): Promise<string | undefined>;
}

const takeBack = [
  'SET CONSTRAINTS ALL IMMEDIATE',
  'SET CONSTRAINTS ALL DEFERRED',
  'CLOSE ALL',
  // Who logged in is who acts from here on.
  'RESET SESSION AUTHORIZATION',
  'RESET ROLE',
  'RESET ALL',
  'DISCARD TEMP',
] as const;

export function openTransaction(
  session: LoadSession,
  server: Pick<Server, 'startupOptions'>,
  database: string,
  runWithin: RunWithin,
): OpenTransaction {
  const about: LoadSubject = { subject: `the end of the load into database "${database}"`, damaged: 'FileDamaged' };
  const ask = async (text: string): Promise<string | undefined> => {
    try {
      const answer = await session.ask(text);
      return answer === undefined ? undefined : Buffer.from(answer, 'latin1').toString('utf8');
    } catch (error) {
      throw classifyStatement(error, about, undefined);
    }
  };
  return {
    async settle() {
      // Settings of the login come back by RESET; what is none of them is set again.
      const steady = server.startupOptions === undefined ? loadSettings() : [];
      for (const statement of [...takeBack, ...steady, `SET client_encoding = 'UTF8'`]) await ask(statement);
    },
    async run(text) {
      const script = readSqlScript(inOnePiece(text), { part: 'whole', oneTransaction: true, takesAll: true });
      await runWithin(script, { ...about, subject: 'SQL' });
    },
    ask,
  };
}

async function* inOnePiece(text: string): AsyncGenerator<Uint8Array, void, void> {
  yield Buffer.from(text);
}
