import { describe, expect, it } from 'vitest';
import type { Backup, BackupPolicy } from '../../src/api/kinds.ts';
import { mayComeYet } from '../../src/controller/run/await-results.ts';
import { nextInspection } from '../../src/controller/location/plan.ts';
import { endOf, startOf } from '../../src/controller/run/outcome.ts';
import type { PodSeen } from '../../src/controller/run/pods.ts';
import { runsOf } from '../../src/controller/policy/backup-run.ts';
import { endedRuns } from '../../src/controller/schedule/run.ts';
import { countRuns } from '../../src/controller/schedule/runs.ts';
import { restoreEndOf } from '../../src/controller/restore/outcome.ts';
import {
  buildLocation,
  buildPolicy,
  buildRestore,
  buildRun,
  condition,
  failed,
  succeeded,
} from '../builders/objects.ts';
import { terminated } from './fake-cluster.ts';

const nowMs = Date.parse('2026-01-03T12:00:00Z');
const ahead = '2027-01-01T03:00:00Z';

/** The node that it ran on was a year ahead; the condition is the controller's own. */
const runOfOtherNode = (): Backup =>
  buildRun(
    '2026-01-02T03:00:00Z',
    succeeded(ahead, '2027-01-01T03:05:00Z', {
      conditions: [condition('Succeeded', 'True', 'Succeeded', '2026-01-02T03:05:00Z')],
    }),
    { uid: 'ahead' },
  );
const lateFailure = (): Backup => buildRun('2026-01-03T03:00:00Z', failed('ServerUnreachable', '2026-01-03T03:05:00Z'));
const nothing = { Succeeded: 0, PartlyFailed: 0, Failed: 0 };
const count = (policy: BackupPolicy, backups: readonly Backup[]) =>
  countRuns(policy, runsOf(policy, backups), nothing, nowMs).counts;

describe('A time that lies ahead', () => {
  it('of a node does not make an old run the newest one: what failed since is what counts', () => {
    const runs = runsOf(buildPolicy(), [runOfOtherNode(), lateFailure()]);
    expect(endedRuns(runs).map(({ result }) => result)).toEqual(['Failed', 'Succeeded']);
    expect(startOf(runOfOtherNode())).toBe(Date.parse('2026-01-02T03:00:00Z'));
    expect(endOf(runOfOtherNode())).toBe(Date.parse('2026-01-02T03:05:00Z'));
  });

  it('of a slot by hand does not make a run the newest one for ever', () => {
    const far = buildRun('2999-01-01T03:00:00Z', failed('PolicyMissing', '2026-01-02T05:00:00Z'), {
      creationTimestamp: '2026-01-02T04:00:00Z',
    });
    const runs = runsOf(buildPolicy(), [far, lateFailure()]);
    expect(endedRuns(runs)[0]?.name).toBe('nightly-20260103t030000z');
  });

  it('of a node delays neither the next try of a restore nor its deletion', () => {
    const conditions = [condition('Succeeded', 'False', 'ServerUnreachable', '2026-01-02T04:05:00Z')];
    const request = buildRestore({ status: { conditions, startedAt: ahead, completedAt: ahead } });
    expect(restoreEndOf(request)).toBe(Date.parse('2026-01-02T04:05:00Z'));
  });

  it('stored as the last inspection does not put the next one off', () => {
    const status = { observedGeneration: 1, lastProbeTime: ahead, failures: 0 };
    expect(nextInspection(buildLocation({ status }), nowMs)).toBe(0);
    const past = { ...status, lastProbeTime: '2026-01-03T11:30:00Z' };
    expect(nextInspection(buildLocation({ status: past }), nowMs)).toBeGreaterThan(nowMs);
  });

  it('up to which all was counted does not keep runs from being counted, and none is counted twice', () => {
    const status = { runs: nothing, countedUids: ['other'], countedThrough: ahead };
    const policy = buildPolicy({ status, metadata: { creationTimestamp: '2026-01-01T00:00:00Z' } });
    const old = lateFailure();
    expect(count(policy, [old]).runs).toEqual(nothing);
    expect(count(policy, [old]).countedThrough).toBe('2026-01-03T12:00:00Z');
    const fresh = buildRun('2026-01-03T12:00:00Z', failed('ServerUnreachable', '2026-01-03T12:00:05Z'), { uid: 'new' });
    expect(count(policy, [old, fresh]).runs).toEqual({ ...nothing, Failed: 1 });
  });

  it.each([ahead, undefined])('at which a pod ended (%s) keeps nobody waiting for its log', (finishedAt) => {
    const metadata = { name: 'pod', namespace: 'shop', creationTimestamp: '2026-01-03T11:00:00Z' };
    const status = terminated(0, '', finishedAt ?? '');
    const pod = { metadata, status } as unknown as PodSeen;
    expect(mayComeYet(pod, { resultLines: 3 }, undefined, nowMs)).toBe(false);
  });
});
