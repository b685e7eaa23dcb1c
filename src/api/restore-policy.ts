import { z } from 'zod';
import { conditions, count, seconds, timestamp } from './parts.ts';
import { restoredSource, restoreRules, restoreShape } from './restore-spec.ts';
import { withRules } from './rules.ts';
import { cronSchedule, scheduleShape } from './schedule.ts';

export const restorePolicySpec = z.strictObject({
  schedule: cronSchedule().meta({ description: 'Five fields as in cron, or a macro such as @daily.' }),
  ...scheduleShape,
  suspend: z
    .boolean()
    .default(false)
    .meta({ description: 'Stops the schedule; a restore that is going on ends as it does.' }),
  whenUnchanged: z.enum(['Skip', 'Restore']).default('Skip').meta({
    description: 'What happens when the source is still the one of the last successful restore.',
  }),
  retries: z
    .strictObject({
      limit: z.int().min(0).max(9).default(3).meta({
        format: 'int32',
        description: 'How many more requests are made for a slot whose request failed for a transient reason.',
      }),
      backoffSeconds: seconds(1, 86_400).default(300).meta({ description: 'Pause before the first; then doubled.' }),
    })
    .prefault({})
    .meta({ description: 'What follows a failure that time may heal. (The Job of each request retries besides.)' }),
  successfulRestoresHistoryLimit: z
    .int()
    .min(0)
    .max(100)
    .default(3)
    .meta({ format: 'int32', description: 'How many ended requests are kept that succeeded.' }),
  failedRestoresHistoryLimit: z
    .int()
    .min(0)
    .max(100)
    .default(3)
    .meta({ format: 'int32', description: 'How many ended requests are kept that failed.' }),
  template: z
    .strictObject({
      spec: withRules(z.strictObject(restoreShape), ...restoreRules).meta({
        description: 'The spec of each RestoreRequest.',
      }),
    })
    .meta({ description: 'What the RestoreRequests look like. Two of them never run at the same time.' }),
});

/** Ways in which a restore can end; `result` label of pgbackup_restore_runs_total. */
export const restoreResults = ['Succeeded', 'Unchanged', 'Failed'] as const;

export const restorePolicyStatus = z.strictObject({
  conditions: conditions().optional(),
  observedGeneration: count().optional(),
  phase: z
    .enum(['Pending', 'Ready', 'Suspended', 'NotReady', 'Unhealthy'])
    .optional()
    .meta({ description: 'For people; computed from the conditions.' }),
  lastScheduleTime: timestamp().optional().meta({ description: 'The latest slot for which a request was created.' }),
  nextScheduleTime: timestamp().optional().meta({ description: 'The next slot.' }),
  lastSuccessTime: timestamp().optional().meta({ description: 'End of the last request that succeeded.' }),
  active: z.array(z.string().max(63)).max(50).optional().meta({ description: 'Requests that are going on.' }),
  lastRestored: restoredSource().optional().meta({ description: 'What the last successful restore restored.' }),
  lastRestoredGeneration: count().optional().meta({
    description: 'Generation of the policy that it was restored for: after a change the source is restored anew.',
  }),
  lastDurationSeconds: count().optional().meta({ description: 'How long the last successful restore took.' }),
  missedRuns: count().optional().meta({ description: 'Slots that were never run, since the policy was made.' }),
  handledSlot: timestamp()
    .optional()
    .meta({ description: 'The latest slot that was run, skipped or counted as missed.' }),
  scheduledBy: z.string().max(256).optional().meta({
    description: 'Schedule and time zone that handledSlot belongs to; slots before a change are not made up.',
  }),
  scheduledSince: timestamp()
    .optional()
    .meta({ description: 'Since when this schedule counts: no slot before it is ever overdue.' }),
  runs: z
    .record(z.enum(restoreResults), count())
    .optional()
    .meta({ description: 'Ended requests since the policy was made, by result.' }),
  countedUids: z
    .array(z.string().max(64))
    .max(100)
    .optional()
    .meta({ description: 'Requests that are already in runs, so that each counts once.' }),
  countedThrough: timestamp()
    .optional()
    .meta({ description: 'Requests that ended at or before it are in runs, though countedUids has forgotten them.' }),
});

export type RestorePolicySpec = z.infer<typeof restorePolicySpec>;
export type RestorePolicyStatus = z.infer<typeof restorePolicyStatus>;
