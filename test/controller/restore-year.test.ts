import { describe, expect, it } from 'vitest';
import { restoreRequestStatus } from '../../src/api/restore-request.ts';
import type { RestorePolicy, RestoreRequest } from '../../src/api/kinds.ts';
import { planRestorePolicy } from '../../src/controller/restore-policy/plan.ts';
import { restoreResultOf } from '../../src/controller/restore/outcome.ts';
import { parseRestoreRequestName } from '../../src/domain/names.ts';
import { stamp } from '../../src/domain/stamp.ts';
import { buildRestorePolicy, condition } from '../builders/objects.ts';
import { seededRandom } from '../kube/manual-clock.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

interface Lived {
  readonly created: readonly string[];
  readonly overlaps: readonly string[];
  readonly status: RestorePolicy['status'];
  readonly ends: Readonly<Record<string, number>>;
  readonly most: number;
}

/** A year of a policy: its requests take their time, end well or not, and the clock is set forth and back. */
function live(seed: number): Lived {
  const random = seededRandom(seed);
  const below = (limit: number): number => Math.floor(random.fraction() * limit);
  const start = Date.parse('2026-01-01T00:00:00Z');
  let now = start;
  let policy = buildRestorePolicy({
    spec: {
      schedule: '30 */3 * * *',
      timeZone: 'Europe/Berlin',
      jitterSeconds: 600,
      retries: { limit: 3, backoffSeconds: 300 },
    },
  });
  const requests = new Map<string, RestoreRequest>();
  const endsAt = new Map<string, number>();
  const created: string[] = [];
  const overlaps: string[] = [];
  const ends: Record<string, number> = { Succeeded: 0, Unchanged: 0, Failed: 0 };
  let most = 0;

  const act = (): number | undefined => {
    const plan = planRestorePolicy({
      nowMs: now,
      policy: { object: policy, fault: undefined },
      locations: new Map(),
      requests: [...requests.values()],
      isTaken: (name) => requests.has(name),
      hasBackups: () => true,
      stuckAt: () => undefined,
      mode: { claimRequired: true },
    });
    for (const action of plan.actions) {
      if (action.type === 'create') {
        const { name } = action.object.metadata;
        const going = [...requests.values()].filter((each) => restoreResultOf(each) === undefined);
        if (going.length > 0) overlaps.push(`${name} while ${going[0]?.metadata.name} goes on, at ${stamp(now)}`);
        created.push(name);
        const meta = {
          uid: `uid-${created.length}`,
          resourceVersion: '1',
          generation: 1,
          creationTimestamp: stamp(now),
        };
        const object = { ...action.object, metadata: { ...action.object.metadata, ...meta } };
        requests.set(name, object as unknown as RestoreRequest);
        // Seldom as long as two slots.
        endsAt.set(name, now + (below(20) === 0 ? 3 * hour + below(4 * hour) : minute + below(40 * minute)));
      }
      // A process may die between any two writes.
      if (below(40) === 0) return now;
      if (action.type === 'set-status')
        policy = { ...policy, status: action.status as RestorePolicy['status'] } as RestorePolicy;
      if (action.type === 'delete') requests.delete(action.name);
    }
    most = Math.max(most, requests.size);
    return plan.wakeAt;
  };

  while (now < start + 365 * day) {
    const wakeAt = act();
    for (const [name, request] of requests) {
      if (restoreResultOf(request) !== undefined || (endsAt.get(name) ?? 0) > now) continue;
      const how = below(10);
      const reason =
        ['Restored', 'Unchanged', 'StorageUnreachable', 'CheckFailed'][how < 5 ? 0 : how - 5] ?? 'ConnectionLost';
      const isGood = reason === 'Restored' || reason === 'Unchanged';
      const result = reason === 'Restored' ? 'Succeeded' : reason;
      ends[isGood ? result : 'Failed'] = (ends[isGood ? result : 'Failed'] ?? 0) + 1;
      const status = restoreRequestStatus.parse({
        conditions: [condition('Succeeded', isGood ? 'True' : 'False', reason, stamp(now))],
        startedAt: stamp(now - minute),
        completedAt: stamp(now),
        databases: [{ target: 'app', outcome: isGood ? 'Restored' : 'Untouched' }],
      });
      requests.set(name, { ...request, status });
    }
    const next = [wakeAt, ...endsAt.values()].filter((time): time is number => time !== undefined && time > now);
    now = Math.min(now + 2 * hour, ...next);
    const event = below(200);
    if (event === 0) now -= below(5 * hour);
    if (event === 1) now += below(30 * hour);
  }
  // What ended last is counted by the looks that follow.
  for (let look = 0; look < 3; look += 1) act();
  return { created, overlaps, status: policy.status, ends, most };
}

describe('A year of a RestorePolicy with a clock that is set forth and back, and deaths in between', () => {
  it.each([1, 2, 3, 4])('never has two requests at once, and no request twice (seed %i)', (seed) => {
    const { created, overlaps, status, ends, most } = live(seed);
    expect(overlaps).toEqual([]);
    const slots = created.filter((name) => parseRestoreRequestName('refresh', name)?.retry === 0);
    expect(new Set(created).size).toBe(created.length);
    // Eight slots a day, less those that were skipped or passed over.
    expect(slots.length).toBeGreaterThan(2000);
    expect(slots.length).toBeLessThanOrEqual(366 * 8);
    expect(created.length - slots.length).toBeGreaterThan(100);
    const { runs, active = [] } = status ?? {};
    expect(runs).toEqual(ends);
    expect(Object.values(ends).reduce((a, b) => a + b, 0)).toBeGreaterThanOrEqual(created.length - active.length - 1);
    // Six that ended, one that waits for its retry, one that goes on.
    expect(most).toBeLessThanOrEqual(8);
  });
});
