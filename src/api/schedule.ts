import { z } from 'zod';
import { count, seconds, timestamp } from './parts.ts';
import { rule, withRules } from './rules.ts';

/** Members of everything that runs by a schedule; named as in CronJob. */
export const cronSchedule = () =>
  withRules(
    z.string().min(1).max(128),
    rule<string>(
      String.raw`self.matches('^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|[!-~]+([ \\t]+[!-~]+){4})$')`,
      (self) => cronText.test(self),
      'five fields (minute hour day month weekday), such as "30 3 * * *", or @hourly, @daily, @weekly, @monthly, @yearly; instead of seconds or @every write */n in a field, instead of TZ= set timeZone',
    ),
  );

const cronText = /^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|[!-~]+([ \t]+[!-~]+){4})$/;

export const scheduleShape = {
  timeZone: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[A-Za-z0-9_+\-/]+$/)
    .default('Etc/UTC')
    .meta({ description: 'Name from the IANA time zone database.' }),
  jitterSeconds: seconds(0, 6 * 3600)
    .default(0)
    .meta({ description: 'Starts are spread by up to this time; the same slot always by the same.' }),
  startingDeadlineSeconds: seconds(10, 7 * 86_400)
    .optional()
    .meta({
      description: 'A slot that could not start in this time is missed. Without it the latest slot always catches up.',
    }),
};

/** What the status of everything that runs by a schedule tells of its slots, and of the runs that ended. */
export const scheduleStatusShape = <const Results extends readonly [string, ...string[]]>(results: Results) => ({
  phase: z
    .enum(['Pending', 'Ready', 'Suspended', 'NotReady', 'Unhealthy'])
    .optional()
    .meta({ description: 'For people; computed from the conditions.' }),
  lastScheduleTime: timestamp().optional().meta({ description: 'The latest slot for which a run was created.' }),
  nextScheduleTime: timestamp().optional().meta({ description: 'When the next slot starts, jitter and all.' }),
  lastSuccessTime: timestamp().optional().meta({ description: 'End of the last run that succeeded.' }),
  active: z.array(z.string().max(63)).max(50).optional().meta({ description: 'Runs that are going on, by name.' }),
  missedRuns: count().optional().meta({
    description:
      'Slots that were never run, since the policy was made. Of slots that pass at once, no more than 1000, of no more than 250 days, are counted.',
  }),
  handledSlot: timestamp().optional().meta({ description: 'The latest slot that was run or counted as missed.' }),
  scheduledBy: z.string().max(256).optional().meta({
    description: 'Schedule and time zone that handledSlot belongs to; slots before a change are not made up.',
  }),
  scheduledSince: timestamp()
    .optional()
    .meta({ description: 'Since when this schedule counts: no slot before it is ever overdue.' }),
  runs: z
    .record(z.enum(results), count())
    .optional()
    .meta({ description: 'Ended runs since the policy was made, by result.' }),
  countedUids: z
    .array(z.string().max(64))
    .max(100)
    .optional()
    .meta({ description: 'Runs that are already in runs, so that each counts once.' }),
  countedThrough: timestamp()
    .optional()
    .meta({ description: 'Runs that ended at or before it are in runs, though countedUids has forgotten them.' }),
});
