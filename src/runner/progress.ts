import type { Clock } from '../support/clock.ts';
import type { Progress, ReportLines } from './report-lines.ts';

const intervalMilliseconds = 5_000;

/** Progress of a run that has not begun to move bytes. */
export const idleProgress = {
  plainBytes: 0,
  bytesPerSecond: 0,
  databasesDone: 0,
  databasesTotal: 0,
} as const satisfies Progress;

/** What is known at a moment. */
export type ProgressSnapshot = Omit<Progress, 'bytesPerSecond'>;

/**
 * Tells progress at once, then every five seconds, with the rate since the line before, until the returned function is called;
 * that waits for nothing but its own timer.
 */
export function tellProgress(clock: Clock, lines: ReportLines, look: () => ProgressSnapshot): () => Promise<void> {
  const over = new AbortController();
  const tell = async (): Promise<void> => {
    let last = { atMs: clock.monotonicMs(), bytes: look().plainBytes };
    lines.progress({ ...look(), bytesPerSecond: 0 });
    for (;;) {
      try {
        await clock.sleep(intervalMilliseconds, over.signal);
      } catch (error) {
        if (over.signal.aborted) return;
        throw error;
      }
      const snapshot = look();
      const now = { atMs: clock.monotonicMs(), bytes: snapshot.plainBytes };
      const seconds = Math.max(0.001, (now.atMs - last.atMs) / 1000);
      // Bytes of a database that failed are taken back.
      lines.progress({ ...snapshot, bytesPerSecond: Math.max(0, Math.round((now.bytes - last.bytes) / seconds)) });
      last = now;
    }
  };
  const told = tell();
  return async () => {
    over.abort();
    await told;
  };
}
