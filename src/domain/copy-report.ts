import { z } from 'zod';
import { failureReasonNames } from '../api/reasons.ts';

const reason = z.enum(failureReasonNames);
const size = z.int().min(0);

/** How a copy ended; what became of each backup are `result` lines. Backups without one were not looked at. */
export const copyEnd = z.object({
  kind: z.literal('copy'),
  /** PartlyFailed: some of the backups are not there. */
  verdict: z.enum(['Succeeded', 'PartlyFailed', 'Failed']),
  reason: reason.optional(),
  message: z.string().optional(),
  hint: z.string().optional(),
  startedAt: z.string(),
  completedAt: z.string(),
  copied: size,
  /** Backups that were there before, whole. */
  present: size,
  sourceDamaged: size,
  failed: size,
  /** That were stored. */
  bytes: size,
  resultLines: size,
});

/**
 * Copied: it is there now. Present: it was there before, with all its volumes. SourceDamaged: the copy that it should come from is not
 * whole; nothing of it is to be seen. Failed: it is not there for another reason.
 */
export const copyOutcomes = ['Copied', 'Present', 'SourceDamaged', 'Failed'] as const;
export type CopyOutcome = (typeof copyOutcomes)[number];

/** In lines of at most 25. */
export const copiedPerLine = 25;

export const copied = z.object({
  kind: z.literal('copied'),
  backups: z.array(
    z.object({
      id: z.string(),
      uid: z.string(),
      outcome: z.enum(copyOutcomes),
      reason: reason.optional(),
      /** At most 200 characters. */
      detail: z.string().optional(),
      /** That were stored. */
      bytes: size,
    }),
  ),
});
