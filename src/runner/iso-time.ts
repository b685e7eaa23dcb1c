import type { Clock } from '../support/clock.ts';

/** Now, as it stands in reports and manifests. */
export function isoTime(clock: Clock): string {
  return new Date(clock.nowMs()).toISOString();
}
