import type { Bytes } from '../../pipeline/bytes.ts';
import type { Clock } from '../../support/clock.ts';

/** A tap. */
export type Pacer = (source: Bytes, signal: AbortSignal) => Bytes;

/** Lets bytes by at a rate on average, over all streams that it is given, one after the other. What a stream did not use is not saved up. */
export function paceBytes(bytesPerSecond: number | undefined, clock: Clock): Pacer {
  let freeAtMs = 0;
  return async function* (source, signal) {
    for await (const chunk of source) {
      yield chunk;
      if (bytesPerSecond === undefined) continue;
      const nowMs = clock.monotonicMs();
      freeAtMs = Math.max(freeAtMs, nowMs) + (chunk.length / bytesPerSecond) * 1000;
      await clock.sleep(freeAtMs - nowMs, signal);
    }
  };
}
