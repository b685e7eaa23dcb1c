import type { ProgressLine } from '../../../domain/report.ts';
import { meter, type Meter } from '../../../pipeline/meter.ts';
import { tellProgress } from '../../progress.ts';
import type { Workshop } from '../../workshop.ts';

export type RestoreStep = NonNullable<ProgressLine['step']>;

/** Where a restore is; told in the log while it works. */
export interface RestoreProgress {
  /** Bytes that went to the loading program. */
  readonly loaded: Meter;
  readonly at: (step: RestoreStep, database?: string) => void;
  /** Who fails from here on: the restore into this target; undefined: all of them. */
  readonly workOn: (target: string | undefined) => void;
  readonly databaseDone: () => void;
  /** Tells no more. */
  readonly stop: () => Promise<void>;
}

export function openProgress(
  { clock, lines }: Workshop,
  databasesTotal: number,
  estimatedBytes: number | undefined,
  workOn: RestoreProgress['workOn'],
): RestoreProgress {
  const loaded = meter();
  let step: RestoreStep | undefined;
  let database: string | undefined;
  let databasesDone = 0;
  const stop = tellProgress(clock, lines, () => ({
    ...(step === undefined ? {} : { step }),
    plainBytes: loaded.bytes(),
    ...(estimatedBytes === undefined ? {} : { estimatedBytes }),
    ...(database === undefined ? {} : { database }),
    databasesDone,
    databasesTotal,
  }));
  return {
    loaded,
    workOn,
    at(next, name) {
      step = next;
      database = name;
    },
    databaseDone() {
      databasesDone += 1;
    },
    stop,
  };
}
