import type { Condition } from '../../api/parts.ts';
import { readStamp } from '../../domain/stamp.ts';
import { findCondition } from '../conditions.ts';
import type { Scheduler } from '../schedule/run.ts';

export interface GaugeSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The longest time between two slots of a schedule in ms, if it has one. */
export type IntervalOf = (policy: Pick<Scheduler, 'spec'>, nowMs: number) => number | undefined;

/** Samples of the same labels; what is not known is absent. */
export function samples(
  labels: Readonly<Record<string, string>>,
  values: Readonly<Record<string, number | undefined>>,
): readonly GaugeSample[] {
  return Object.entries(values).flatMap(([name, value]) => {
    return value === undefined || !Number.isFinite(value) ? [] : [{ name: `pgbackup_${name}`, labels, value }];
  });
}

export function secondsOf(text: string | undefined): number | undefined {
  const timeMs = readStamp(text);
  return timeMs === undefined ? undefined : timeMs / 1000;
}

/** 1 for True, 0 for False; nothing while it is not known. */
export function truthOf(
  object: { readonly status?: { readonly conditions?: readonly Condition[] | undefined } | undefined },
  type: string,
): number | undefined {
  const status = findCondition(object.status?.conditions, type)?.status;
  return status === undefined || status === 'Unknown' ? undefined : Number(status === 'True');
}
