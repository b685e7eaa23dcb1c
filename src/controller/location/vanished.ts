import type { Backup, BackupLocation } from '../../api/kinds.ts';
import { readStamp, stamp } from '../../domain/stamp.ts';
import type { Action } from '../action.ts';
import { fitStatus } from '../fit-status.ts';
import { endOf, resultOf } from '../run/outcome.ts';
import { resources } from '../resources.ts';
import type { HeldAfter } from '../world/held-manifests.ts';
import type { CataloguePage } from './catalogue-page.ts';

/** What was stored so shortly before an inspection began may be later than its listing, by whatever clock. */
const toleranceMs = 10 * 60_000;

/** Nobody misses it there. */
const isNotThere: ReadonlySet<string> = new Set(['Failed', 'Removed']);

interface Vanished {
  readonly actions: readonly Action[];
  /** All that this inspection has missed, those marked by an earlier look at its answer included. */
  readonly names: readonly string[];
}

/**
 * Backups that are said to be at the location, and whose manifest a page of its catalogue does not have although it would be between
 * the page's first and last key: their destination becomes Missing.
 */
export function findVanished(
  seen: {
    readonly nowMs: number;
    readonly heldAfter: HeldAfter;
    readonly backupNamed: (name: string) => Backup | undefined;
  },
  location: BackupLocation,
  page: CataloguePage,
): Vanished {
  const { nowMs } = seen;
  const actions: Action[] = [];
  const names: string[] = [];
  for (const [key, { backup: name, mark }] of seen.heldAfter(page.after)) {
    if (page.last !== undefined && key > page.last) break;
    // Not read, since it looked as it did when it was.
    if (page.has(key) || (mark !== undefined && page.isKnown(mark))) continue;
    const backup = seen.backupNamed(name);
    const { destinations = [] } = backup?.status ?? {};
    const held = destinations.find((each) => each.location === location.metadata.name && each.manifestKey === key);
    if (backup === undefined || held === undefined || isNotThere.has(held.outcome)) continue;
    const since = held.outcome === 'Missing' ? readStamp(held.missingSince) : undefined;
    if (since !== undefined) {
      if (since >= page.startedAt) names.push(name);
      continue;
    }
    const endedAt = endOf(backup);
    if (resultOf(backup) === undefined || endedAt === undefined || endedAt > page.startedAt - toleranceMs) continue;
    names.push(name);
    const missing = { ...held, outcome: 'Missing', missingSince: stamp(nowMs) } as const;
    const status = fitStatus({
      ...backup.status,
      destinations: destinations.map((each) => (each === held ? missing : each)),
    });
    actions.push({ type: 'set-status', resource: resources.backup, object: backup, status });
  }
  return { actions, names };
}
