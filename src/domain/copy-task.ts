import { z } from 'zod';
import { eachOnce, namedBackup, namedPolicy } from './named-backup.ts';
import { taskLocation } from './task-location.ts';

/** Backups that one task may name. */
export const copyMax = 100;

/** Copies backups of one policy, as they are, from a place that holds them to one that does not (docs/design/copies.md). */
export const copy = z.strictObject({
  kind: z.literal('copy'),
  ...namedPolicy,
  from: taskLocation,
  to: taskLocation,
  backups: z.array(namedBackup).min(1).max(copyMax).refine(eachOnce, 'a backup is named twice'),
  /** On average; as fast as it goes if absent. */
  bytesPerSecond: z.int().min(65_536).optional(),
  waitForSecretSeconds: z.int(),
});
