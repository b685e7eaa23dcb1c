import type { Failure } from '../api/failure.ts';
import type { Bytes } from './bytes.ts';

export interface Sink<R> {
  /** For messages. */
  readonly name: string;
  /** Instead of the stall limit of all. */
  readonly stallMs?: number;
  /** Of a sink that must not hold others up for long: the limit while one that has no such limit waits for it. */
  readonly holdMs?: number;
  /**
   * True while it is known to work on what it took (a disk that syncs): it has ten times the stall limit then, and while it holds others up
   * that must not be, the stall limit.
   */
  readonly isBusy?: () => boolean;
  /** Takes all of `body`, once, and resolves when it is stored. `signal` aborts when this sink is given up. */
  readonly write: (body: Bytes, signal: AbortSignal) => Promise<R>;
}

export type SinkOutcome<R> =
  | { readonly name: string; readonly outcome: 'done'; readonly result: R }
  | { readonly name: string; readonly outcome: 'failed'; readonly failure: Failure };
