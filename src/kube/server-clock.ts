import type { Clock } from '../support/clock.ts';

/** What one answer of the API server says of the time. */
export interface ServerTime {
  /** Its Date header, milliseconds since the epoch in whole seconds. */
  readonly dateMs: number;
  /** From sending the request until the answer began. */
  readonly tookMs: number;
}

/** Our clock, checked against that of the API server. */
export interface ServerClock extends Clock {
  /** An answer has just begun. */
  hear(time: ServerTime): void;
  /** How far our own clock is ahead of the server's (negative: behind), about; undefined before the first answer. */
  aheadMs(): number | undefined;
}

/** What the Date of an answer (RFC 9110) leaves open. */
const secondMs = 1000;

/**
 * Objects bear the times of the API server, and every controller must agree on what is due. So where our own clock is certainly off by more
 * than the tolerance, `nowMs` is the server's time, carried on by our monotonic clock since the last answer: a clock that jumps is found out
 * at the next question, without any request. It is used again once it is right by half of the tolerance.
 * @param onChange told when our clock turns out to be off, and when it is right again
 */
export function createServerClock(
  own: Clock,
  {
    toleranceMs = 10_000,
    onChange,
  }: {
    readonly toleranceMs?: number;
    readonly onChange?: (state: { readonly isOff: boolean; readonly aheadMs: number }) => void;
  } = {},
): ServerClock {
  let heard: { readonly serverMs: number; readonly unsureMs: number; readonly atMs: number } | undefined;
  let isOff = false;

  /** How far we are ahead, and how far at least we are off. */
  const compare = (): { readonly aheadMs: number; readonly offMs: number } | undefined => {
    if (heard === undefined) return undefined;
    const aheadMs = own.nowMs() - (heard.serverMs + own.monotonicMs() - heard.atMs);
    return { aheadMs, offMs: Math.abs(aheadMs) - heard.unsureMs };
  };

  /** What is to be taken from our own clock. */
  const correctionMs = (): number => {
    const found = compare();
    if (found === undefined) return 0;
    const wasOff = isOff;
    isOff = found.offMs > (wasOff ? toleranceMs / 2 : toleranceMs);
    if (isOff !== wasOff) onChange?.({ isOff, aheadMs: found.aheadMs });
    return isOff ? found.aheadMs : 0;
  };

  return {
    nowMs: () => own.nowMs() - correctionMs(),
    monotonicMs: () => own.monotonicMs(),
    sleep: (ms, signal) => own.sleep(ms, signal),
    hear: ({ dateMs, tookMs }) => {
      const unsureMs = (secondMs + tookMs) / 2;
      heard = { serverMs: dateMs + unsureMs, unsureMs, atMs: own.monotonicMs() };
      correctionMs();
    },
    aheadMs: () => compare()?.aheadMs,
  };
}
