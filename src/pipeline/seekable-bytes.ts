import type { Bytes } from './bytes.ts';

/** Bytes that can be read from anywhere, as often as wanted. */
export interface SeekableBytes {
  readonly bytes: number;
  /** Those of [start, end), all of them or a failure. */
  read(start: number, end: number, signal: AbortSignal): Bytes;
}
