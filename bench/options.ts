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
  /** Also our runner to a folder alone. */
  readonly directory: boolean;
  /** Also `pg_dump -Fc -Z0 | restic backup --stdin`, which compresses, encrypts and deduplicates. */
  readonly restic: boolean;
  /** Also our runner and a pipe that encrypt, for a public key each. */
  readonly encrypted: boolean;
  /** 3: our runner also (with `memory`: only) to S3, SFTP and a folder at once. */
  readonly places: 1 | 3;
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
      directory: { type: 'boolean', default: false },
      restic: { type: 'boolean', default: false },
      encrypted: { type: 'boolean', default: false },
      places: { type: 'string', default: '1' },
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
  const { gzip, sftp, directory, restic, encrypted, memory, cache } = values;
  if (values.places !== '1' && values.places !== '3') throw new Error(`--places must be 1 or 3, not ${values.places}`);
  const places = values.places === '3' ? 3 : 1;
  return {
    scale: whole('scale'),
    pairs: whole('pairs'),
    gzip,
    sftp,
    directory,
    restic,
    encrypted,
    places,
    memory,
    cache: resolve(cache),
  };
}
