import { describe, expect, it } from 'vitest';
import { resources } from '../../src/controller/resources.ts';
import type { KubeObject } from '../../src/kube/client.ts';
import { buildBackup, buildLocation, buildPolicy, buildRestore, buildRestorePolicy } from '../builders/objects.ts';
import { FakeCluster, startController } from './fake-cluster.ts';

const forever = new AbortController().signal;

/** As anybody who may write a status, an older version or a wrong clock could leave them: every time of every kind. */
function extremes(time: string): readonly (readonly [keyof typeof resources, KubeObject])[] {
  const conditions = ['Ready', 'Healthy', 'Succeeded', 'Available'].map((type) => ({
    type,
    status: 'Unknown' as const,
    reason: 'Pending',
    message: '',
    lastTransitionTime: time,
  }));
  const schedule = { handledSlot: time, lastScheduleTime: time, nextScheduleTime: time, lastSuccessTime: time };
  const policy = {
    ...schedule,
    scheduledSince: time,
    countedThrough: time,
    missedRuns: Number.MAX_SAFE_INTEGER - 1,
    conditions,
  };
  const ran = { startedAt: time, completedAt: time, conditions };
  const id = time.replaceAll(/\W/g, '').toLowerCase();
  const metadata = { uid: '', resourceVersion: '' };
  const objects = [
    ['location', buildLocation({ name: `l${id}`, metadata, status: { lastProbeTime: time, conditions } })],
    ['policy', buildPolicy({ name: `m${id}`, metadata, spec: { schedule: '* * * * *' }, status: policy })],
    ['policy', buildPolicy({ name: `p${id}`, metadata, spec: { schedule: '0 0 29 2 *' }, status: policy })],
    // Under the name of its slot only the one to come: an earlier one that goes on would hold the schedule up, as it should.
    [
      'backup',
      buildBackup({
        name: time < '2026' ? `hand-${id}` : `nightly-${id}`,
        metadata,
        spec: { slot: time },
        status: ran,
      }),
    ],
    ['backup', buildBackup({ name: `b${id}`, metadata, spec: { policy: `m${id}`, slot: time } })],
    ['restoreRequest', buildRestore({ name: `r${id}`, metadata, status: ran })],
    ['restorePolicy', buildRestorePolicy({ name: `s${id}`, metadata, status: policy })],
  ] as const;
  return objects.map(([kind, object]) => [kind, structuredClone(object) as unknown as KubeObject] as const);
}

describe('Objects with times that no clock has', () => {
  it('hold nobody else up: a policy beside them runs its slots', async () => {
    const cluster = new FakeCluster('2026-01-01T02:50:00Z');
    for (const time of [
      '0001-01-02T00:00:00Z',
      '1969-12-31T23:59:59Z',
      '3000-01-01T03:00:00Z',
      '9999-12-31T23:59:59Z',
    ]) {
      for (const [kind, { status, ...object }] of extremes(time)) {
        const { uid: _uid, resourceVersion: _version, ...metadata } = object.metadata;
        const created = await cluster.create({ ...object, metadata });
        if (status !== undefined) await cluster.client.putStatus(resources[kind], { ...created, status }, forever);
      }
    }
    for (const { metadata, ...object } of [buildLocation(), buildPolicy()]) {
      const { uid: _uid, resourceVersion: _version, creationTimestamp: _at, ...given } = metadata;
      await cluster.create({ ...object, metadata: given });
    }
    const running = startController(cluster);
    await cluster.settle();
    for (let minute = 0; minute < 20; minute += 1) await cluster.advance(60_000);

    expect(await cluster.names(resources.backup)).toContain('nightly-20260101t030000z');
    const policy = await cluster.get<ReturnType<typeof buildPolicy>>(resources.policy, 'nightly');
    expect(policy.status?.handledSlot).toBe('2026-01-01T03:00:00Z');
    // Its first run goes on and keeps the slots after it waiting, as it should; those are counted as far as numbers go.
    const everyMinute = await cluster.get<ReturnType<typeof buildPolicy>>(resources.policy, 'm99991231t235959z');
    expect(everyMinute.status?.handledSlot).toBe('2026-01-01T03:09:00Z');
    expect(everyMinute.status?.missedRuns).toBe(Number.MAX_SAFE_INTEGER);
    await running.stop();
  });
});
