import type { Clock } from '../support/clock.ts';

/** Now, as it stands in reports and manifests. */
export function isoTime(clock: Clock): string {
  return isoOf(clock.nowMs());
}

export function isoOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
