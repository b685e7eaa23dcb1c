import type { Failure } from '../../api/failure.ts';

/** A failure after which it is not known what the targets are, or something is left beside them: a cleanup finds out. */
export class Unsettled extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message, { cause: failure });
    this.name = 'Unsettled';
    this.failure = failure;
  }
}
