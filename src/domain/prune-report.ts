import { z } from 'zod';
import { failureReasonNames } from '../api/reasons.ts';

const reason = z.enum(failureReasonNames);
const size = z.int().min(0);

/** How a prune ended; what became of each backup are `result` lines. Backups without one were not looked at. */
export const pruneEnd = z.object({
  kind: z.literal('prune'),
  /** PartlyFailed: some of the backups, or volumes of them, are still there, and not because a lock of the place holds them. */
  verdict: z.enum(['Succeeded', 'PartlyFailed', 'Failed']),
  reason: reason.optional(),
  message: z.string().optional(),
  hint: z.string().optional(),
  startedAt: z.string(),
  completedAt: z.string(),
  /** Backups that are gone now, also those that were gone before. */
  removed: size,
  freedBytes: size,
  /** Backups that a lock or a hold of the place keeps. */
  deferred: size,
  /** Backups that must not go. */
  refused: size,
  failed: size,
  resultLines: size,
});

/**
 * Removed: the manifest is gone, and with it the backup (`detail` says what of its volumes is left). Gone: it had no manifest any more.
 * Deferred: the place keeps it for now. Refused: it must not go. Failed: the place did not do it.
 */
export const pruneOutcomes = ['Removed', 'Gone', 'Deferred', 'Refused', 'Failed'] as const;
export type PruneOutcome = (typeof pruneOutcomes)[number];

/** In lines of at most 25. */
export const prunedPerLine = 25;

const prunedBackup = z.object({
  id: z.string(),
  uid: z.string(),
  outcome: z.enum(pruneOutcomes),
  reason: reason.optional(),
  /** At most 200 characters. */
  detail: z.string().optional(),
  /** Of Deferred: when the place lets it go, if it says. */
  until: z.string().optional(),
  /** That were freed. */
  bytes: size,
});
export type PrunedBackup = z.infer<typeof prunedBackup>;

export const pruned = z.object({
  kind: z.literal('pruned'),
  backups: z.array(prunedBackup),
});
