import { stamp } from '../../domain/stamp.ts';
import type { Scheduler } from './run.ts';
import type { SlotsDecision } from './slots.ts';

/** What a status says of slots; the same for both kinds of policies. */
export function slotStatus({ spec, status }: Pick<Scheduler, 'spec' | 'status'>, slots: SlotsDecision) {
  const stampOf = (time: number | undefined): string | undefined => (time === undefined ? undefined : stamp(time));
  return {
    lastScheduleTime: stampOf(slots.lastSchedule),
    nextScheduleTime: spec.suspend ? undefined : stampOf(slots.next),
    missedRuns: Math.min((status?.missedRuns ?? 0) + slots.missed, Number.MAX_SAFE_INTEGER),
    handledSlot: stampOf(slots.handledSlot),
    scheduledBy: slots.scheduledBy,
    scheduledSince: stamp(slots.scheduledSince),
  };
}
