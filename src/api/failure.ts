import { failureReasons, type FailureReason } from './reasons.ts';

/** What a failure means for whoever could try again: retry (transient), wait (until a spec or referenced object changes), never. */
export type Consequence = 'retry' | 'wait' | 'never';

/**
 * The one way to fail. `message` is lower case, without a full stop and without secrets; advice goes into `hint`;
 * what was caught goes into `cause`.
 */
export class Failure extends Error {
  readonly reason: FailureReason;
  readonly hint: string | undefined;

  constructor(reason: FailureReason, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Failure';
    this.reason = reason;
    this.hint = options.hint;
  }

  get consequence(): Consequence {
    return failureReasons[this.reason].consequence;
  }

  /** Process exit code of a runner that ends with this failure. */
  get exitCode(): number {
    return failureReasons[this.reason].exitCode;
  }
}

/** Anything caught, as a Failure: what is not one already is a bug of ours (`Internal`). */
export function toFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new Failure('Internal', message, { cause: error });
}
