import { Failure } from '../api/failure.ts';
import { endsTransactionHint } from '../pipeline/sql-rules.ts';

/** A script ended the transaction that all of it was to run in. */
export class LeftTransaction extends Failure {
  /** What it did until then stays. */
  readonly committed: boolean;

  constructor(line: number, how: 'committed' | 'rolled back' | 'prepared') {
    const what = {
      committed: 'what it did until then is committed',
      'rolled back': 'nothing of it stays',
      prepared: 'it is prepared under a name: look into pg_prepared_xacts, and commit or roll it back there',
    }[how];
    super('RestoreFailed', `line ${line}: the script ended the transaction that it was run in: ${what}`, {
      hint: endsTransactionHint,
    });
    this.committed = how !== 'rolled back';
  }
}
