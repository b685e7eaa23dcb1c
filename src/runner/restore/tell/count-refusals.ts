import { mostRefusedTold } from '../../../api/restore-request.ts';
import type { RefusedSum } from '../../../domain/report.ts';
import { explainRefusal, showRefused, type Refusal } from '../../../postgres/refusal.ts';
import type { Log } from '../../../support/log.ts';
import { cutToBytes } from '../../../support/cut-to-bytes.ts';
import { logWords } from './log-words.ts';

const entryBytes = 200;
const messageBytes = 400;
/** A script of single rows may be refused row by row. */
const mostLogged = 20_000;
const shown = 3;

/** What the server refused of one database. */
export interface Refusals {
  readonly add: (refusal: Refusal) => void;
  /** Undefined: nothing. */
  readonly sum: () => RefusedSum | undefined;
}

/** Counts them, keeps the first ones for the status, and logs all. */
export function countRefusals(database: string, log: Pick<Log, 'warn' | 'error'>): Refusals {
  let count = 0;
  const entries: RefusedSum['entries'][number][] = [];
  return {
    add(refusal) {
      count += 1;
      const { reason, message } = refusal.failure;
      const entry = showRefused(refusal);
      if (entries.length < mostRefusedTold) {
        entries.push({
          entry: cutToBytes(entry, entryBytes),
          reason,
          message: cutToBytes(explainRefusal(refusal), messageBytes),
        });
      }
      if (count > mostLogged) return;
      log.warn('refused', { database, entry, line: refusal.line, reason, error: message });
      logWords(refusal.failure, log);
      if (count === mostLogged) log.warn('what is refused from here on is counted, and not logged', { database });
    },
    sum: () => (count === 0 ? undefined : { count, entries }),
  };
}

/** For the verdict: how many, and the first ones. */
export function tellRefused(sums: readonly RefusedSum[]): string | undefined {
  const count = sums.reduce((sum, each) => sum + each.count, 0);
  if (count === 0) return undefined;
  const head = `restored without what the server refused (${count})`;
  const first = sums.flatMap(({ entries }) => entries).slice(0, shown);
  const told = first.map(({ entry, message }) => `${entry}: ${message}`).join('; ');
  const more = count > first.length ? `; and ${count - first.length} more` : '';
  return first.length === 0 ? `${head}: the log of the try before names it` : `${head}: ${told}${more}`;
}
