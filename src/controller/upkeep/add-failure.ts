import { cutText } from '../conditions.ts';
import type { JobSeen } from '../run/pods.ts';
import type { UpkeepEntry } from './due.ts';

/** What an entry says after a Job that failed, or ended without a word. */
export function addFailure<Entry extends UpkeepEntry>(before: Entry, job: JobSeen, reason: string, message: string) {
  return {
    ...before,
    countedJob: job.metadata.uid,
    failures: (before.failures ?? 0) + 1,
    failuresInRow: (before.failuresInRow ?? 0) + 1,
    reason,
    message: cutText(message, 1024),
  };
}
