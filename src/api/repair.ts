import { z } from 'zod';
import { bytes, count, shortText, timestamp } from './parts.ts';

export const backfillMost = 1000;

/** Of a policy: what a destination missed or lost is copied there from another one. */
export const repair = () =>
  z.strictObject({
    bytesPerSecond: z
      .int()
      .min(65_536)
      .max(1_000_000_000_000)
      .optional()
      .meta({ format: 'int64', description: 'No copy is faster than this. As fast as it goes, if absent.' }),
  });

/** How far the repair of a policy has come at one of its destinations. */
export const repairStatus = () =>
  z.strictObject({
    location: z.string().max(63),
    missing: count()
      .optional()
      .meta({ description: 'Backups that it should have and another destination can give, at the last decision.' }),
    copied: count().optional().meta({ description: 'Backups that were copied there since the policy was made.' }),
    copiedBytes: bytes().optional().meta({ description: 'Their size.' }),
    failures: count().optional().meta({ description: 'Copies that failed since the policy was made.' }),
    failuresInRow: count().optional().meta({ description: 'Copies that failed since the last one that went well.' }),
    lastTime: timestamp().optional().meta({ description: 'When a copy last ended well, or nothing was missing.' }),
    decidedTime: timestamp().optional().meta({ description: 'When it was last decided what is missing.' }),
    decidedFor: z
      .string()
      .max(128)
      .optional()
      .meta({ description: 'For what it was decided: a success, a spec, a request.' }),
    countedJob: z.string().max(64).optional().meta({ description: 'uid of the last Job whose answer was taken.' }),
    reason: z.string().max(64).optional().meta({ description: 'Why nothing is copied there now.' }),
    message: shortText().optional(),
  });

export type RepairStatus = z.infer<ReturnType<typeof repairStatus>>;
