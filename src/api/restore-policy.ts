import { z } from 'zod';
import { conditions, count, seconds } from './parts.ts';
import { restoredSource, restoreRules, restoreShape } from './restore-spec.ts';
import { withRules } from './rules.ts';
import { cronSchedule, scheduleShape, scheduleStatusShape } from './schedule.ts';

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
  ...scheduleStatusShape(restoreResults),
  lastRestored: restoredSource().optional().meta({ description: 'What the last successful restore restored.' }),
  lastRestoredGeneration: count().optional().meta({
    description: 'Generation of the policy that it was restored for: after a change the source is restored anew.',
  }),
  lastDurationSeconds: count().optional().meta({ description: 'How long the last successful restore took.' }),
});

export type RestorePolicySpec = z.infer<typeof restorePolicySpec>;
export type RestorePolicyStatus = z.infer<typeof restorePolicyStatus>;
