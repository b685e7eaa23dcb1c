import { z } from 'zod';
import { accessModes } from '../api/probe.ts';
import { eachOnce, namedBackup, namedPolicy } from './named-backup.ts';
import { taskLocation } from './task-location.ts';

/** Backups that one task may name, in each of its lists. */
export const pruneMax = 500;

/** Retention never takes the last good copy of a database; who deletes a Backup object with its data wants just that gone. */
export const pruneCauses = ['retention', 'deletion'] as const;

const knownBackup = namedBackup.omit({ manifestSha256: true });

/** Removes backups of one policy from one place (docs/design/retention.md). */
export const prune = z.strictObject({
  kind: z.literal('prune'),
  ...namedPolicy,
  location: taskLocation,
  accessMode: z.enum(accessModes),
  why: z.enum(pruneCauses),
  /** Backups that have ended, and are to go. */
  remove: z
    .array(
      namedBackup.extend({
        /** The try that committed it: what is left of it goes, too, where an earlier prune got no further than the manifest. */
        attempt: z
          .string()
          .regex(/^[0-9a-f]{8}$/)
          .optional(),
      }),
    )
    .min(1)
    .max(pruneMax)
    .refine(eachOnce, 'a backup is named twice'),
  /** Only, and always, of retention: the newest backup of the policy that the controller knows there; it stays. */
  newest: knownBackup.extend({ startedAt: z.string() }).optional(),
  /** Only of retention: false where the policy stores no globals any more; then nobody misses them. */
  globals: z.boolean().optional(),
  /** Only of retention: backups that hold the newest good copies of databases; they stay, and are proven before anything goes. */
  floor: z.array(knownBackup).max(pruneMax).optional(),
  waitForSecretSeconds: z.int(),
});
