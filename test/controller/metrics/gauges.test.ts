import { describe, expect, it } from 'vitest';
import { labels, type Backup, type RestoreRequest } from '../../../src/api/kinds.ts';
import { listSamples, type GaugesSeen } from '../../../src/controller/metrics/gauges.ts';
import { derivedMetrics, liveMetrics } from '../../../src/controller/metrics/metric-names.ts';
import { failedPlaces } from '../../../src/controller/world/world-indexes.ts';
import { openMetrics } from '../../../src/support/metrics.ts';
import {
  buildBackup,
  buildLocation,
  buildPolicy,
  buildRestore,
  buildRestorePolicy,
  buildRun,
  condition,
  failed,
  succeeded,
} from '../../builders/objects.ts';

const idle = { depth: 0, oldestMs: 0, longestRunMs: 0, retries: 0 };
interface Objects extends Pick<GaugesSeen, 'nowMs' | 'policies' | 'locations' | 'restorePolicies' | 'queue'> {
  readonly backups: readonly Backup[];
  readonly restoreRequests: readonly RestoreRequest[];
}

const empty: Objects = {
  nowMs: Date.parse('2026-01-05T12:00:00Z'),
  policies: [],
  locations: [],
  backups: [],
  restorePolicies: [],
  restoreRequests: [],
  queue: idle,
};

const seenOf = ({ backups, restoreRequests, ...objects }: Objects): GaugesSeen => {
  type Namespaced = { readonly metadata: { readonly namespace: string } };
  const isIn = (a: Namespaced, b: Namespaced): boolean => a.metadata.namespace === b.metadata.namespace;
  return {
    ...objects,
    backupsOf: (policy) => backups.filter((each) => isIn(each, policy) && each.spec.policy === policy.metadata.name),
    backupsFailedAt: (location) =>
      backups.filter((each) => isIn(each, location) && failedPlaces(each).includes(location.metadata.name)),
    restoresOf: (policy) =>
      restoreRequests.filter(
        (each) => isIn(each, policy) && each.metadata.labels?.[labels.restorePolicy] === policy.metadata.name,
      ),
  };
};

const print = async (objects: Objects): Promise<string> => {
  const derive = () => listSamples(seenOf(objects));
  const { text } = await openMetrics({ live: [], derived: derivedMetrics, derive, processMetrics: false }).print();
  return text;
};

describe('The metrics', () => {
  it('of a busy namespace are these', async () => {
    const day = (number: number, time: string): string => `2026-01-0${number}T${time}Z`;
    const good = (number: number, plainBytes: number) =>
      buildRun(
        day(number, '03:00:00'),
        succeeded(day(number, '03:00:00'), day(number, '03:01:40'), {
          plainBytes,
          storedBytes: plainBytes / 4,
          destinations: [
            { location: 'near', outcome: 'Stored' },
            { location: 'far', required: false, outcome: number === 2 ? 'Stored' : 'Failed' },
          ],
          ...(number === 2 ? {} : { notes: [{ reason: 'DumpWarned', count: 3 }] }),
        }),
      );
    const text = await print({
      ...empty,
      policies: [
        buildPolicy({
          status: {
            conditions: [condition('Ready', 'True', 'PolicyReady'), condition('Healthy', 'False', 'LastRunFailed')],
            nextScheduleTime: day(6, '03:00:00'),
            missedRuns: 2,
            repairs: [{ location: 'near', missing: 1, copied: 4, failures: 2 }],
            prunes: [
              {
                location: 'near',
                kept: 7,
                removable: 1,
                deferred: 1,
                removed: 30,
                freedBytes: 4096,
                failures: 2,
                lastTime: '2026-01-02T03:05:00Z',
              },
            ],
            runs: { Succeeded: 2, PartlyFailed: 0, Failed: 1 },
          },
        }),
        buildPolicy({ name: 'new', spec: { schedule: '61 * * * *', suspend: true } }),
      ],
      locations: [
        buildLocation({
          status: {
            conditions: [condition('Available', 'True', 'ProbePassed')],
            lastProbeTime: day(5, '11:00:00'),
            latencies: { putMilliseconds: 12, listMilliseconds: 20.5 },
            backups: 3,
            damagedManifests: 1,
            storedBytes: 4096,
            remains: {
              objects: 3,
              bytes: 300,
              oldestTime: '2026-01-01T00:00:00Z',
              unfinishedUploads: 1,
              removedObjects: 5,
            },
            probeErrors: { put: 1, get: 0, list: 0, delete: 0 },
          },
        }),
        buildLocation({ name: 'far', status: { conditions: [condition('Available', 'Unknown', 'Inspecting')] } }),
      ],
      backups: [
        good(2, 1000),
        good(3, 3000),
        buildRun(day(4, '03:00:00'), failed('DumpFailed', day(4, '03:02:00'), { startedAt: day(4, '03:00:01') })),
        buildRun(day(5, '03:00:00')),
        buildBackup({ name: 'found', spec: { policy: 'unknown', import: { location: 'near', key: 'k' } } }),
      ],
      queue: { depth: 3, oldestMs: 1500, longestRunMs: 250, retries: 9 },
    });
    await expect(text).toMatchFileSnapshot('../../golden/metrics.txt');
    for (const name of ['nightly-2026', 'found']) expect(text).not.toContain(name);
  });

  it('of what is not known are absent, not 0', async () => {
    const text = await print({ ...empty, policies: [buildPolicy()], locations: [buildLocation()] });
    const samples = text.split('\n').filter((line) => line.includes('{'));
    const names = samples.map((line) => line.slice(0, line.indexOf('{')));
    expect(names).toEqual([
      'pgbackup_policy_info',
      'pgbackup_policy_suspended',
      'pgbackup_policy_expected_interval_seconds',
      'pgbackup_policy_created_timestamp_seconds',
    ]);
  });

  it('tell of RestorePolicies, also when a BackupPolicy has the same name', async () => {
    const ended = {
      conditions: [condition('Succeeded', 'False', 'CheckFailed', '2026-01-05T04:01:00Z')],
      startedAt: '2026-01-05T04:00:10Z',
      completedAt: '2026-01-05T04:01:00Z',
    };
    const owner = { apiVersion: 'pgbackup.dev/v1beta1', kind: 'RestorePolicy', name: 'nightly', uid: 'uid-of-nightly' };
    const labels = { 'pgbackup.dev/restore-policy': 'nightly' };
    const text = await print({
      ...empty,
      policies: [buildPolicy()],
      restorePolicies: [
        buildRestorePolicy({
          name: 'nightly',
          status: {
            conditions: [condition('Ready', 'True', 'PolicyReady'), condition('Healthy', 'False', 'LastRunFailed')],
            nextScheduleTime: '2026-01-06T04:00:00Z',
            lastSuccessTime: '2026-01-04T04:02:00Z',
            lastDurationSeconds: 90,
            missedRuns: 3,
            runs: { Succeeded: 7, Unchanged: 2, Failed: 1 },
          },
        }),
      ],
      restoreRequests: [
        buildRestore({
          name: 'nightly-20260105t040000z',
          metadata: { labels, ownerReferences: [{ ...owner, controller: true }] },
          status: ended,
        }),
      ],
    });
    const lines = text.split('\n').filter((line) => /^pgbackup_.*restore/.test(line));
    const of = 'namespace="shop",policy="nightly"';
    expect(lines).toEqual([
      `pgbackup_restore_policy_info{${of},schedule="0 4 * * *",timezone="Etc/UTC"} 1`,
      `pgbackup_restore_policy_suspended{${of}} 0`,
      `pgbackup_restore_policy_ready{${of}} 1`,
      `pgbackup_restore_policy_healthy{${of}} 0`,
      `pgbackup_restore_policy_expected_interval_seconds{${of}} 86400`,
      `pgbackup_restore_policy_next_run_timestamp_seconds{${of}} ${Date.parse('2026-01-06T04:00:00Z') / 1000}`,
      `pgbackup_restore_policy_created_timestamp_seconds{${of}} ${Date.parse('2026-01-01T00:00:00Z') / 1000}`,
      `pgbackup_last_restore_success_timestamp_seconds{${of}} ${Date.parse('2026-01-04T04:02:00Z') / 1000}`,
      `pgbackup_last_restore_attempt_timestamp_seconds{${of}} ${Date.parse('2026-01-05T04:00:10Z') / 1000}`,
      `pgbackup_last_restore_attempt_succeeded{${of}} 0`,
      `pgbackup_last_restore_duration_seconds{${of}} 90`,
      `pgbackup_restore_runs_total{${of},result="Succeeded"} 7`,
      `pgbackup_restore_runs_total{${of},result="Unchanged"} 2`,
      `pgbackup_restore_runs_total{${of},result="Failed"} 1`,
      `pgbackup_missed_restores_total{${of}} 3`,
    ]);
    expect(text).toContain(`pgbackup_policy_info{${of},schedule="0 3 * * *",timezone="Etc/UTC"} 1`);
  });

  it('forget what is gone', async () => {
    let seen: Objects = { ...empty, policies: [buildPolicy()] };
    const metrics = openMetrics({
      live: [],
      derived: derivedMetrics,
      derive: () => listSamples(seenOf(seen)),
      processMetrics: false,
    });
    expect((await metrics.print()).text).toContain('policy="nightly"');
    seen = empty;
    const both = await Promise.all([metrics.print(), metrics.print()]);
    for (const { text } of both) expect(text).not.toContain('policy="nightly"');
  });

  it('are all described, once, with the prefix of ours', () => {
    const names = [...derivedMetrics, ...liveMetrics].map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { name, help, type } of [...derivedMetrics, ...liveMetrics]) {
      expect(name).toMatch(/^pgbackup_[a-z_]+$/);
      expect(name.endsWith('_total')).toBe(type === 'counter');
      expect(help).toMatch(/\.$/);
    }
  });

  it('count each good copy where it lies: a run that another place failed keeps this one up to date', () => {
    const backups = [
      buildRun('2026-01-02T03:00:00Z', succeeded('2026-01-02T03:00:00Z', '2026-01-02T03:10:00Z')),
      buildRun(
        '2026-01-03T03:00:00Z',
        failed('DestinationFailed', '2026-01-03T03:10:00Z', {
          destinations: [
            { location: 'near', outcome: 'Stored' },
            { location: 'far', outcome: 'Failed' },
          ],
        }),
      ),
      buildRun(
        '2026-01-04T03:00:00Z',
        failed('DatabaseFailed', '2026-01-04T03:10:00Z', { destinations: [{ location: 'near', outcome: 'Stored' }] }),
      ),
    ];
    const samples = [...listSamples(seenOf({ ...empty, policies: [buildPolicy()], backups }))];
    const found = samples.filter(({ name }) => name === 'pgbackup_last_success_timestamp_seconds');
    expect(found.map(({ labels, value }) => [labels['location'], value])).toEqual([
      ['near', Date.parse('2026-01-03T03:10:00Z') / 1000],
    ]);
  });
});
