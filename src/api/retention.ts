import { z } from 'zod';
import { bytes, count, shortText, timestamp } from './parts.ts';
import { rule, withRules } from './rules.ts';

const keeps = (most: number, description: string) =>
  z.int().min(1).max(most).optional().meta({ format: 'int32', description });

const members = [
  'keepLast',
  'keepHourly',
  'keepDaily',
  'keepWeekly',
  'keepMonthly',
  'keepYearly',
  'keepWithinDays',
] as const;

/** Which backups stay. What no rule keeps is removed after the next success. */
export const retentionRule = () =>
  withRules(
    z.strictObject({
      keepLast: keeps(10_000, 'So many of the newest.'),
      keepHourly: keeps(10_000, 'The newest of each of so many hours in which something was backed up.'),
      keepDaily: keeps(10_000, 'The newest of each of so many days (of the time zone of the policy).'),
      keepWeekly: keeps(10_000, 'The newest of each of so many weeks, which begin on Mondays.'),
      keepMonthly: keeps(10_000, 'The newest of each of so many months.'),
      keepYearly: keeps(1000, 'The newest of each of so many years.'),
      keepWithinDays: z.int().min(1).max(36_500).optional().meta({
        format: 'int64',
        description:
          'All of so many days before the newest. Days without backups count little: a pause makes nothing old.',
      }),
      minimum: z.int().min(1).max(1000).default(1).meta({
        format: 'int32',
        description: 'Of each database so many good copies stay in any case, also when it is not backed up any more.',
      }),
      dryRun: z
        .boolean()
        .default(false)
        .meta({ description: 'Removes nothing; status.prunes tells what would stay and why, and what would go.' }),
    }),
    rule<Readonly<Record<string, unknown>>>(
      `[${members.map((name) => `has(self.${name})`).join(', ')}].exists(present, present)`,
      (self) => members.some((name) => self[name] !== undefined),
      `one of ${members.join(', ')} must be set; leave retention out to keep everything`,
    ),
  );

export type RetentionSpec = z.infer<ReturnType<typeof retentionRule>>;

const told = z.strictObject({
  backup: z.string().max(63),
  why: z.string().max(256),
});

/** Backups of each list that the status names. */
export const toldMost = 20;

/** How far the retention of a policy has come at one of its destinations. */
export const retentionStatus = () =>
  z.strictObject({
    location: z.string().max(63),
    kept: count().optional().meta({ description: 'Backups that stay there, at the last decision.' }),
    removable: count().optional().meta({ description: 'Backups that no rule kept then and that are still there.' }),
    deferred: count().optional().meta({ description: 'Backups that the place does not let go of yet (object lock).' }),
    removed: count().optional().meta({ description: 'Backups that were removed there since the policy was made.' }),
    freedBytes: bytes().optional().meta({ description: 'Their size.' }),
    failures: count().optional().meta({ description: 'Prunes that failed since the policy was made.' }),
    failuresInRow: count().optional().meta({ description: 'Prunes that failed since the last one that went well.' }),
    lastTime: timestamp().optional().meta({ description: 'When a prune last ended well, or found nothing to remove.' }),
    decidedTime: timestamp().optional().meta({ description: 'When it was last decided what stays.' }),
    decidedFor: z
      .string()
      .max(128)
      .optional()
      .meta({ description: 'For what it was decided: a success, a rule, a request.' }),
    countedJob: z.string().max(64).optional().meta({ description: 'uid of the last Job whose answer was taken.' }),
    reason: z.string().max(64).optional().meta({ description: 'Why nothing is removed there now.' }),
    message: shortText().optional(),
    keeps: z
      .array(told)
      .max(toldMost)
      .optional()
      .meta({ description: 'With dryRun: what stays and why, newest first.' }),
    removes: z.array(told).max(toldMost).optional().meta({ description: 'With dryRun: what would go, oldest first.' }),
  });

export type RetentionStatus = z.infer<ReturnType<typeof retentionStatus>>;
