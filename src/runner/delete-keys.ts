import { toFailure, type Failure } from '../api/failure.ts';
import type { Storage } from '../storage/storage.ts';

const deletesAtOnce = 8;

/** Deletes keys, several at a time, and goes on after a failure. @returns the first failure, if there was one */
export async function deleteKeys(
  storage: Storage,
  keys: readonly string[],
  onDeleted: (key: string) => void,
  signal: AbortSignal,
): Promise<Failure | undefined> {
  const waiting = [...keys];
  let firstFailure: Failure | undefined;
  const work = async (): Promise<void> => {
    for (let key = waiting.shift(); key !== undefined; key = waiting.shift()) {
      try {
        await storage.delete(key, signal);
        onDeleted(key);
      } catch (error) {
        firstFailure ??= toFailure(error);
        // A place that is gone would make each key wait for its own timeout.
        if (signal.aborted) return;
      }
    }
  };
  await Promise.all(Array.from({ length: deletesAtOnce }, work));
  return firstFailure;
}
