import { annotations } from '../../api/kinds.ts';
import type { Rebuilt } from '../../api/parts.ts';
import { readStamp, stamp } from '../../domain/stamp.ts';
import type { Action, ObjectSeen, Plan } from '../action.ts';
import type { RunnerTemplate } from '../mode.ts';
import { deleteJob } from './delete-job.ts';
import type { JobSeen } from './pods.ts';
import { isStartTrouble } from './start-trouble.ts';

/** Each time its pod has its budget to start anew. */
const rebuildsMax = 10;
/** How long the pods of a Job that is being replaced may take to go. */
const goneBudgetMs = 10 * 60_000;
const lookEveryMs = 10_000;

/** Annotations of a Job. */
export type Origin = Readonly<Record<string, string>>;

interface Versioned {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly uid: string; readonly generation: number };
}

/**
 * What a Job is made from, as text: which versions of which objects, the template of all runners, and what was asked for. It stands
 * on the Job, so that a later look sees whether the same would be made again.
 */
export function describeOrigin(
  owner: { readonly metadata: { readonly annotations?: Readonly<Record<string, string>> } },
  objects: readonly Versioned[],
  template: RunnerTemplate,
): Origin {
  const versions = objects.map(({ kind, metadata }) => {
    return `${kind}/${metadata.name} ${metadata.uid} ${metadata.generation}`;
  });
  const { [annotations.startRequestedAt]: start, [annotations.probeRequestedAt]: probe } =
    owner.metadata.annotations ?? {};
  const asked = [start, probe].map((text) => text?.slice(0, 1024) ?? '');
  return { [annotations.madeFrom]: JSON.stringify([[...new Set(versions)].toSorted(), template, asked]) };
}

/**
 * Whether the Job of a run should be built again: its pod cannot start, and it would be made from something else now (`wanted`;
 * undefined when none can be made).
 */
export function shouldRebuild(
  reason: string,
  job: JobSeen,
  wanted: Origin | undefined,
  rebuilt: Rebuilt | undefined,
): boolean {
  const made = job.metadata.annotations?.[annotations.madeFrom];
  // One of a version that did not note it stays.
  if (made === undefined || wanted === undefined || !isStartTrouble(reason)) return false;
  return (rebuilt?.times ?? 0) < rebuildsMax && made !== wanted[annotations.madeFrom];
}

/** Noted before the Job is deleted: then its absence is no loss. */
export function noteRebuild(before: Rebuilt | undefined, job: JobSeen, nowMs: number): Rebuilt {
  return { times: (before?.times ?? 0) + 1, jobUid: job.metadata.uid, at: stamp(nowMs) };
}

/** Whether the Job is one that goes, to be built again. */
export function isReplaced(rebuilt: Rebuilt | undefined, job: JobSeen): boolean {
  return rebuilt?.jobUid === job.metadata.uid;
}

/** Gives a Job up for another. `note` writes it down first: then the absence of the Job is no loss. */
export function giveUpJob(
  about: ObjectSeen,
  job: JobSeen,
  note: (message: string) => readonly Action[] = () => [],
): readonly Action[] {
  const message = `the Job ${job.metadata.name} is built again`;
  const tell = { type: 'tell', about, level: 'Normal', reason: 'JobRebuilt', message } as const;
  return [...note(message), deleteJob(job, 'Foreground'), tell];
}

/** A Job that was given up goes, and only when no pod of it is left comes the next. Undefined: it has had its time, and is still there. */
export function awaitGone(rebuilt: Rebuilt | undefined, job: JobSeen, nowMs: number): Plan | undefined {
  const { deletionTimestamp } = job.metadata;
  const goneBy = (readStamp(deletionTimestamp) ?? readStamp(rebuilt?.at) ?? nowMs) + goneBudgetMs;
  if (nowMs >= goneBy) return undefined;
  const stop = deletionTimestamp === undefined ? [deleteJob(job, 'Foreground')] : [];
  return { actions: stop, wakeAt: Math.min(nowMs + lookEveryMs, goneBy) };
}

export const tellStays = ({ metadata }: JobSeen): string =>
  `the Job ${metadata.name}, which is to be built again, does not go`;
