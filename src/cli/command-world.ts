import type { Readable, Writable } from 'node:stream';
import type { Clock, Random } from '../support/clock.ts';

/** Everything a command takes from outside; made in main.ts, by tests by hand. */
export interface CommandWorld {
  readonly clock: Clock;
  readonly random: Random;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Folder that relative paths start from. */
  readonly folder: string;
  readonly stdin: Readable;
  readonly stdout: Writable & { readonly isTTY?: boolean };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  /** Starts this program again: the arguments of a command follow. */
  readonly self: readonly string[];
  readonly hostName: string;
  readonly processId: number;
  /** As process.platform says it. */
  readonly platform: string;
  /** Aborts at the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** What to do before the process is ended by force (a second SIGINT): synchronous. */
  onForce(call: () => void): void;
}
