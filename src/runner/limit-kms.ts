import { Failure } from '../api/failure.ts';
import type { KmsAccess } from '../encryption/kms-access.ts';
import { abortFailure, untilAborted, withinTime } from '../storage/abortable.ts';
import type { Clock } from '../support/clock.ts';

/** A request with its repetitions, and all of them together: a stranger's key file may name many keys. */
const limitMs = { request: 30_000, all: 120_000 } as const;

/** Ends each request in time, and all of them together; those of a person, who can end them, each by itself. */
export function limitRequests(clock: Clock, signal: AbortSignal, allMs: number = limitMs.all): KmsAccess['limit'] {
  let leftMs = allMs;
  return async (work) => {
    if (leftMs <= 0) throw tooLate(allMs);
    const startMs = clock.monotonicMs();
    const ms = Math.min(limitMs.request, leftMs);
    try {
      return await withinTime(clock, ms, async (late) => {
        const either = AbortSignal.any([signal, late]);
        try {
          return await untilAborted(work(either), either);
        } catch (error) {
          if (signal.aborted) throw abortFailure(signal);
          if (late.aborted) throw tooLate(ms);
          throw error;
        }
      });
    } finally {
      leftMs -= clock.monotonicMs() - startMs;
    }
  };
}

function tooLate(ms: number): Failure {
  return new Failure('KmsUnreachable', `not answered within ${Math.round(ms / 1000)} s`);
}
