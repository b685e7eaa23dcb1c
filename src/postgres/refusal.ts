import type { Failure } from '../api/failure.ts';
import { redact, shorten } from './classify-load-end.ts';
import { hideValues } from './hide-values.ts';
import { StatementError } from './statement-error.ts';

/** What a load that goes on (`options.onError: Continue`) did without. */
export interface Refusal {
  /** What pg_dump calls it, such as `TABLE public.t`; undefined: the script does not say. */
  readonly entry: string | undefined;
  /** Of the script; of an archive: of the one that pg_restore makes of it. */
  readonly line: number;
  /** What the server said, or because of what it was not tried. */
  readonly failure: Failure;
}

const longestWords = 240;
const longestEntry = 120;

/** The server itself, or the connection, is in trouble, or somebody holds something: that is about no statement, and may pass. */
const ofTheServer = /^(?:08|40|53|57|F0)|^(?:25P04|55P03|55006|58000|58030|XX001|XX002)$/;

/** Whether a statement failed by itself. What ends the load all the same: trouble of the server, and what is no answer of it. */
export function isRefusal(error: unknown): error is Failure & { readonly cause: StatementError } {
  if (!(error instanceof Error) || !(error.cause instanceof StatementError)) return false;
  return error.cause.severity === 'ERROR' && !ofTheServer.test(error.cause.code);
}

/** Which one it is; one line. */
export function showRefused({ entry, line }: Refusal): string {
  return entry === undefined ? `line ${line}` : shorten(entry.replaceAll(/\s/g, ' '), longestEntry);
}

/** Why, in few words and without values of rows. */
export function explainRefusal({ failure }: Refusal): string {
  const { cause, message } = failure;
  return shorten(cause instanceof StatementError ? redact(hideValues(cause.message)) : message, longestWords);
}
