import { describe, expect, it } from 'vitest';
import type { Backup } from '../../src/api/kinds.ts';
import { findStuckAt, stuckAfterMs } from '../../src/controller/run/stuck.ts';
import type { JobSeen, PodSeen } from '../../src/controller/run/pods.ts';
import { buildBackup } from '../builders/objects.ts';

const made = '2026-01-01T03:00:00Z';
const later = '2026-01-01T03:05:00Z';
const meta = (name: string, creationTimestamp: string) => ({ name, namespace: 'shop', uid: name, creationTimestamp });
const job: JobSeen = { metadata: meta('pgb-now', made) };
const pod = (creationTimestamp: string, state: object = {}): PodSeen => ({
  metadata: meta('pod', creationTimestamp),
  status: { containerStatuses: [{ name: 'runner', state }] },
});
const says = (reason: string, status: 'Unknown' | 'False' = 'Unknown'): Backup =>
  buildBackup({
    status: { conditions: [{ type: 'Succeeded', status, reason, message: '', lastTransitionTime: made }] },
  });
const stuckAt = (backup: Backup, pods: readonly PodSeen[], of: JobSeen | undefined = job): string | undefined => {
  const at = findStuckAt({ job: () => of, podsOfJob: () => pods }, backup);
  return at === undefined ? undefined : new Date(at - stuckAfterMs).toISOString().replace('.000', '');
};

describe('A run is stuck', () => {
  it.each(['PodUnschedulable', 'ImageUnavailable', 'PodNotStarting', 'PodRefused'])(
    'some time after its newest pod was made while it says %s',
    (reason) => {
      expect(stuckAt(says(reason), [pod(made), pod(later)])).toBe(later);
    },
  );

  it('some time after its Job was made when no pod could be', () => {
    expect(stuckAt(says('PodRefused'), [])).toBe(made);
  });

  it('never while a pod of it has a runner, whatever its status still says', () => {
    expect(stuckAt(says('ImageUnavailable'), [pod(made, { running: { startedAt: later } })])).toBeUndefined();
  });

  it('never while nothing keeps it, while its runner waits, or when it has ended', () => {
    for (const reason of ['Starting', 'Running', 'WaitingForSecret', 'WaitingForServer', 'Queued', 'PodEvicted']) {
      expect(stuckAt(says(reason), [pod(made)]), reason).toBeUndefined();
    }
    expect(stuckAt(says('PodUnschedulable', 'False'), [pod(made)])).toBeUndefined();
    expect(stuckAt(buildBackup({}), [pod(made)])).toBeUndefined();
  });
});
