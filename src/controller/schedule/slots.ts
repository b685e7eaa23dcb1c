import { isAhead, pastOnly, tellAhead } from '../../domain/clocks.ts';
import { dueSlots, jitterMs, nextSlot, previousSlot, type Schedule } from '../../domain/schedule.ts';
import { readStamp } from '../../domain/stamp.ts';
import { earliest } from '../action.ts';
import type { Run, Scheduler } from './run.ts';

export interface SlotsSeen {
  readonly nowMs: number;
  readonly policy: Scheduler;
  readonly schedule: Schedule | undefined;
  readonly runs: readonly Run[];
  readonly concurrencyPolicy: 'Allow' | 'Forbid' | 'Replace';
  /** Whether a run is one that `concurrencyPolicy` is about, as long as it goes on. */
  readonly counts: (run: Run) => boolean;
  /** The name of the run of a slot. */
  readonly nameOf: (slot: number) => string;
  /** Whether the namespace has a run of that name, whoever's. */
  readonly isTaken: (name: string) => boolean;
  /** Why no run can start now; the slot stays due until it is too late. */
  readonly blocked: boolean;
  /** Until when first inspections hold everything back. */
  readonly gateUntil: number | undefined;
  readonly policiesOutliveObjects: boolean;
}

export interface SlotsDecision {
  /** Times to the milliseconds since the epoch. */
  readonly handledSlot: number | undefined;
  readonly lastSchedule: number | undefined;
  /** When the next run starts, jitter and all. */
  readonly next: number | undefined;
  readonly scheduledBy: string | undefined;
  readonly scheduledSince: number;
  /** More than were missed before. */
  readonly missed: number;
  /** Names of runs that the latest of these slots would have, and that nobody has been seen to bear. */
  readonly missedNames?: readonly string[];
  /** Run this slot. */
  readonly start?: { readonly slot: number; readonly name: string; readonly replaces: boolean } | undefined;
  /** The run's name belongs to something else. */
  readonly taken?: string | undefined;
  /** Slots that are missed because of a run that goes on (Forbid), the latest of them, and how many. */
  readonly skipped?: { readonly slot: number; readonly running: string; readonly count: number } | undefined;
  /** The slot is due, and waits for the end of a run. */
  readonly waits?: { readonly slot: number; readonly running: string } | undefined;
  readonly tooLate?: number | undefined;
  /** What has a time that lies ahead, for people: it counted for nothing. */
  readonly ahead?: string | undefined;
  readonly wakeAt: number | undefined;
}

/**
 * What becomes of the slots since the last one that was handled. Only the latest runs; those before it are missed, and counted
 * once, because handledSlot moves past them in the same PUT. A slot at or before the newest run's is past, so a clock set back,
 * or a crash between create and status, makes no second run. Slots before the policy was made, or before its schedule was changed,
 * are nobody's, and so are runs and stored times ahead of the clock: a clock that was wrong once stops nothing. While it is suspended
 * slots pass uncounted; afterwards the latest one still catches up within startingDeadlineSeconds, as with CronJob. With Forbid a slot stays due while a run goes on, until it is too late or the next one comes.
 */
export function decideSlots(seen: SlotsSeen): SlotsDecision {
  const { nowMs, policy, schedule, runs, concurrencyPolicy } = seen;
  const { spec, status, metadata } = policy;
  const createdAt = pastOnly(readStamp(metadata.creationTimestamp), nowMs) ?? nowMs;
  const handledBefore = readStamp(status?.handledSlot);
  const text = schedule === undefined ? 'none' : `${spec.schedule} ${spec.timeZone}`;
  const scheduledBy = spec.suspend ? `${suspendedMark}${text}` : text;
  const wasSuspended = status?.scheduledBy?.startsWith(suspendedMark) ?? false;
  const textBefore = wasSuspended ? status?.scheduledBy?.slice(suspendedMark.length) : status?.scheduledBy;
  const changed = textBefore !== undefined && textBefore !== text;
  const since = pastOnly(readStamp(status?.scheduledSince), nowMs) ?? createdAt;
  const newest = newestRun(runs, nowMs);
  const kept = {
    handledSlot: pastOnly(handledBefore, nowMs),
    lastSchedule: latest(pastOnly(readStamp(status?.lastScheduleTime), nowMs), newest),
    scheduledBy,
    scheduledSince: changed || (wasSuspended && !spec.suspend) ? nowMs : since,
    missed: 0,
    ahead: findAhead(runs, handledBefore, nowMs),
  };
  if (schedule === undefined) return { ...kept, next: undefined, wakeAt: undefined };

  // Of what was handled nothing is known then: what was due before now is not made up.
  const isUnknown = handledBefore !== kept.handledSlot && newest === undefined;
  const before = latest(kept.handledSlot, changed || isUnknown ? nowMs : undefined) ?? createdAt;
  const handled = { at: before, missed: 0 };
  if (newest !== undefined && newest > before) {
    handled.missed += changed ? 0 : slotsWithoutRun(schedule, runs, before, newest);
    handled.at = newest;
  } else if (newest !== undefined && kept.handledSlot === undefined && seen.policiesOutliveObjects && !changed) {
    handled.at = newest;
  }

  const startAt = (slot: number | undefined) =>
    slot === undefined ? undefined : slot + delayOf(policy, schedule, slot);
  const { due, pending } = findDue(policy, schedule, handled.at, nowMs);
  const nextStart = earliest(startAt(pending), startAt(nextSlot(schedule, Math.max(handled.at, nowMs))));
  const settled = (more: Partial<SlotsDecision>, wakeAt: number | undefined): SlotsDecision => ({
    ...kept,
    handledSlot: handled.at === createdAt ? kept.handledSlot : handled.at,
    missed: handled.missed,
    missedNames: handled.missed === 0 ? [] : findMissedNames(seen, schedule, before, more.start?.slot, handled.at),
    next: nextStart,
    wakeAt,
    ...more,
  });
  if (due === undefined) return settled({}, nextStart);

  const deadline = spec.startingDeadlineSeconds;
  const lateAt = deadline === undefined ? undefined : due + delayOf(policy, schedule, due) + deadline * 1000;
  const late = lateAt !== undefined && nowMs > lateAt;
  // Fires after the last millisecond in which it may still start.
  const lateWake = lateAt === undefined ? undefined : lateAt + 1;
  const superseded = slotsBetween(schedule, handled.at, due);
  if (spec.suspend) {
    if (late) handled.at = due;
    else if (superseded > 0) handled.at = previousSlot(schedule, due - 1) ?? handled.at;
    return settled({}, late ? nextStart : earliest(nextStart, lateWake));
  }
  if (seen.gateUntil !== undefined && nowMs < seen.gateUntil) return settled({}, earliest(seen.gateUntil, nextStart));

  const active = runs.filter((run) => run.result === undefined && seen.counts(run));
  const running = concurrencyPolicy === 'Forbid' ? active[0]?.name : undefined;
  handled.missed += superseded;
  if (superseded > 0) handled.at = previousSlot(schedule, due - 1) ?? handled.at;
  if (late) {
    handled.missed += 1;
    handled.at = due;
  }
  const count = superseded + (late ? 1 : 0);
  const skipped = running === undefined || count === 0 ? undefined : { slot: handled.at, running, count };
  if (late) return settled(skipped === undefined ? { tooLate: due } : { skipped }, nextStart);
  if (seen.blocked) return settled({ skipped }, earliest(nextStart, lateWake));
  if (running !== undefined) {
    return settled({ skipped, waits: { slot: due, running } }, earliest(nextStart, lateWake));
  }
  const name = seen.nameOf(due);
  if (seen.isTaken(name)) return settled({ taken: name }, earliest(nextStart, lateWake));
  handled.at = due;
  const replaces = concurrencyPolicy === 'Replace' && active.length > 0;
  const start = { slot: due, name, replaces };
  return settled({ start, lastSchedule: latest(kept.lastSchedule, due) }, nextStart);
}

/** Before the schedule in scheduledBy: what passes now is promised to nobody. */
const suspendedMark = 'suspended ';

/** The newest slot that has a run under its own name. */
function newestRun(runs: readonly Run[], nowMs: number): number | undefined {
  const slots = runs.flatMap(({ slot, isNamedBySlot }) => (slot === undefined || !isNamedBySlot ? [] : [slot]));
  return slots.filter((slot) => !isAhead(slot, nowMs)).reduce<number | undefined>((a, b) => latest(a, b), undefined);
}

function findAhead(runs: readonly Run[], handledSlot: number | undefined, nowMs: number): string | undefined {
  const run = runs.find(({ slot }) => slot !== undefined && isAhead(slot, nowMs));
  if (run?.slot !== undefined) return tellAhead(`the slot of ${run.name}`, run.slot);
  if (handledSlot === undefined || !isAhead(handledSlot, nowMs)) return undefined;
  return tellAhead('status.handledSlot', handledSlot);
}

/** As many slots a cache may be behind by, and so many are looked through for them. */
const askedSlots = 3;
const lookedThrough = 20;

/** Names of the latest runs that slots in (afterMs, untilMs] would have and nobody is seen to bear, the last one first; not that of `start`. */
function findMissedNames(
  { nameOf, isTaken }: SlotsSeen,
  schedule: Schedule,
  afterMs: number,
  start: number | undefined,
  untilMs: number,
): readonly string[] {
  const names: string[] = [];
  let slot = previousSlot(schedule, start === undefined ? untilMs : start - 1);
  for (let count = 0; count < lookedThrough && slot !== undefined && slot > afterMs; count += 1) {
    const name = nameOf(slot);
    if (!isTaken(name)) names.push(name);
    if (names.length === askedSlots) break;
    slot = previousSlot(schedule, slot - 1);
  }
  return names;
}

/** Slots strictly between two instants that have no run: several may have been made whose slots nobody came to write down. */
function slotsWithoutRun(schedule: Schedule, runs: readonly Run[], afterMs: number, beforeMs: number): number {
  const all = slotsBetween(schedule, afterMs, beforeMs);
  if (all === 0) return 0;
  const made = runs.flatMap(({ slot, isNamedBySlot }) =>
    isNamedBySlot && slot !== undefined && slot > afterMs && slot < beforeMs ? [slot] : [],
  );
  return Math.max(0, all - new Set(made).size);
}

/** Slots strictly between two instants. */
function slotsBetween(schedule: Schedule, afterMs: number, beforeMs: number): number {
  if (beforeMs - 1 <= afterMs) return 0;
  const { latestMs, missed } = dueSlots(schedule, { afterMs, nowMs: beforeMs - 1 });
  return latestMs === undefined ? 0 : missed + 1;
}

/** The latest slot whose (jittered) start has come, and the one after it whose start has not. */
function findDue(
  policy: Scheduler,
  schedule: Schedule,
  afterMs: number,
  nowMs: number,
): { readonly due: number | undefined; readonly pending: number | undefined } {
  const last = previousSlot(schedule, nowMs);
  if (last === undefined || last <= afterMs) return { due: undefined, pending: undefined };
  if (last + delayOf(policy, schedule, last) <= nowMs) return { due: last, pending: undefined };
  const before = previousSlot(schedule, last - 1);
  return { due: before !== undefined && before > afterMs ? before : undefined, pending: last };
}

/** The jitter of a slot: never as far as the next slot, so that slots start in their order. */
function delayOf(policy: Scheduler, schedule: Schedule, slot: number): number {
  const { jitterSeconds } = policy.spec;
  if (jitterSeconds === 0) return 0;
  const next = nextSlot(schedule, slot);
  const most = next === undefined ? jitterSeconds : Math.min(jitterSeconds, Math.floor((next - slot) / 1000));
  return jitterMs(`${policy.metadata.namespace}/${policy.metadata.name}`, slot, most);
}

function latest(...times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}
