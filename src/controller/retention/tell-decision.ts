import { toldMost, type RetentionStatus } from '../../api/retention.ts';
import type { KeptFor, Retained } from '../../domain/retention.ts';
import type { PlaceDecision } from './decide.ts';

const words = {
  Pinned: 'pinned',
  InUse: 'read by a restore',
  Ahead: 'of a time that has not come',
  Unknown: 'of unknown content',
  Unjudged: 'judged when newer ones have become fewer',
  Last: 'one of the last',
  Hourly: 'of the hour',
  Daily: 'of the day',
  Weekly: 'of the week',
  Monthly: 'of the month',
  Yearly: 'of the year',
  Within: 'recent',
  Minimum: 'last copy of a database',
} as const satisfies Record<KeptFor['rule'], string>;

/** What stays and why, and what would go, as far as a status has room. */
export function tellDecision({ judged, removable }: PlaceDecision): Pick<RetentionStatus, 'keeps' | 'removes'> {
  const kept = judged.filter(({ keptFor }) => keptFor.length > 0);
  return {
    keeps: kept.slice(0, toldMost).map((each) => ({ backup: each.id, why: describeKept(each) })),
    removes: removable.slice(0, toldMost).map(({ id }) => ({ backup: id, why: 'no rule keeps it' })),
  };
}

function describeKept({ keptFor }: Retained): string {
  const all = keptFor.map(({ rule, period }) => [words[rule], period].filter((each) => each !== undefined).join(' '));
  return all.join(', ').slice(0, 256);
}
