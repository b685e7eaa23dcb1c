import { describe, expect, it } from 'vitest';
import type { Backup } from '../../../src/api/kinds.ts';
import { findIdleAt } from '../../../src/controller/admission/idle.ts';
import { stuckAfterMs } from '../../../src/controller/run/stuck.ts';
import type { PodSeen } from '../../../src/controller/run/pods.ts';
import { buildBackup } from '../../builders/objects.ts';

const made = '2026-01-01T03:00:00Z';
const later = '2026-01-01T03:05:00Z';
const meta = (name: string, creationTimestamp: string) => ({ name, namespace: 'shop', uid: name, creationTimestamp });
const job = { metadata: meta('pgb-now', made) };
const pod = (creationTimestamp: string, state: object): PodSeen => ({
  metadata: meta(`pod ${creationTimestamp}`, creationTimestamp),
  status: { containerStatuses: [{ name: 'runner', state }] },
});
const runs = { running: { startedAt: later } };
const ended = { terminated: { exitCode: 75 } };
const idleAt = (reason: string, pods: readonly PodSeen[]): string | undefined => {
  const succeeded = { type: 'Succeeded', status: 'Unknown', reason, message: '', lastTransitionTime: made } as const;
  const backup: Backup = buildBackup({ status: { conditions: [succeeded] } });
  const at = findIdleAt({ job: () => job, podsOfJob: () => pods }, backup, 'pgb-now');
  return at === undefined ? undefined : new Date(at - stuckAfterMs).toISOString().replace('.000', '');
};

describe('A run that has a Job does no work', () => {
  it.each(['WaitingForServer', 'WaitingForSecret'])('while it says %s, in whichever try', (reason) => {
    expect(idleAt(reason, [pod(made, runs)])).toBe(made);
    expect(idleAt(reason, [pod(made, ended), pod(later, runs)])).toBe(made);
  });

  it('between a try that failed and the next one, which has no pod', () => {
    expect(idleAt('Running', [pod(made, ended)])).toBe(made);
    expect(idleAt('Running', [pod(made, ended), pod(later, runs)])).toBeUndefined();
  });

  it('while it is stuck, since its newest pod was made', () => {
    expect(idleAt('ImageUnavailable', [pod(made, {}), pod(later, {})])).toBe(later);
  });

  it('not while it runs, starts, or waits for a store in the middle of its dump', () => {
    for (const reason of ['Running', 'Starting', 'WaitingForStorage']) {
      expect(idleAt(reason, [pod(made, runs)]), reason).toBeUndefined();
    }
    expect(idleAt('Starting', [])).toBeUndefined();
  });
});
