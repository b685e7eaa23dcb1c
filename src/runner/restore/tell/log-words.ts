import type { Failure } from '../../../api/failure.ts';
import { StatementError } from '../../../postgres/statement-error.ts';
import type { Log } from '../../../support/log.ts';

const mostCauses = 5;
const longest = 2000;

/** What a server said, in its own words: the status has it without the values of rows (hide-values.ts), the log has them. */
export function logWords({ cause }: Failure, log: Pick<Log, 'error'>): void {
  const words: string[] = [];
  for (let error = cause; error instanceof Error && words.length < mostCauses; error = error.cause) {
    const detail = error instanceof StatementError && error.detail !== '' ? ` (${error.detail})` : '';
    words.push(`${error.message}${detail}`.slice(0, longest));
  }
  if (words.length > 0) log.error('the words of the failure', { causes: words });
}
