import type { RestoreFlags } from '../local/restore-flags.ts';
import type { LocalWorkOptions } from './prepare-local.ts';

export interface LocalRestoreOptions extends LocalWorkOptions {
  readonly flags: RestoreFlags;
  /** Only tell what the locations hold. */
  readonly list: boolean;
  readonly output: 'table' | 'json';
  /** Of each location, with `list`. */
  readonly limit: number;
  /** Only print the RestoreRequests. */
  readonly print: boolean;
}
