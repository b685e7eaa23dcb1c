import { parseSchedule, type Schedule } from '../../domain/schedule.ts';
import type { Scheduler } from './run.ts';
import { describeFailure } from '../describe-failure.ts';

/** The schedule, if there is one; or why it cannot be read. */
export function readSchedule({ spec }: Pick<Scheduler, 'spec'>): {
  readonly schedule: Schedule | undefined;
  readonly problem: { readonly reason: string; readonly message: string } | undefined;
} {
  if (spec.schedule === undefined) return { schedule: undefined, problem: undefined };
  try {
    return { schedule: parseSchedule(spec.schedule, spec.timeZone), problem: undefined };
  } catch (error) {
    return { schedule: undefined, problem: describeFailure(error) };
  }
}
