import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

export interface BenchOptions {
  /** Scale of pgbench; everything else in the database grows with it. 100 is about 1.9 GB of dump. */
  readonly scale: number;
  /** How often each contender runs. */
  readonly pairs: number;
  /** Also `pg_dump -Fc | rclone`, with its own gzip. */
  readonly gzip: boolean;
  /** Also our runner to SFTP alone. */
  readonly sftp: boolean;
  /** Compare the memory of this scale with that of five times as much, instead. */
  readonly memory: boolean;
  /** Folder for clusters; other users must be able to reach it when we are root. */
  readonly cache: string;
}

/** @throws Error that says which option is wrong */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      scale: { type: 'string', default: '100' },
      pairs: { type: 'string', default: '9' },
      gzip: { type: 'boolean', default: false },
      sftp: { type: 'boolean', default: false },
      memory: { type: 'boolean', default: false },
      cache: { type: 'string', default: fileURLToPath(new URL('../.cache/bench', import.meta.url)) },
    },
  });
  const whole = (name: 'scale' | 'pairs'): number => {
    const number = Number(values[name]);
    if (!Number.isInteger(number) || number < 1)
      throw new Error(`--${name} must be a whole number from 1, not ${values[name]}`);
    return number;
  };
  const { gzip, sftp, memory, cache } = values;
  return { scale: whole('scale'), pairs: whole('pairs'), gzip, sftp, memory, cache: resolve(cache) };
}
