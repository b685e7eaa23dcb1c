import { beforeEach, describe, expect, it } from 'vitest';
import type { RestoreRequest } from '../../src/api/kinds.ts';
import { resources } from '../../src/controller/resources.ts';
import { KubeError, type KubeClient, type KubeObject } from '../../src/kube/client.ts';
import { asSent, buildRestore } from '../builders/objects.ts';
import { cleanupVerdict, restoreVerdict } from '../builders/verdicts.ts';
import { addFoundBackup } from './with-found-backup.ts';
import { FakeCluster, running, startController, terminated, type Running } from './fake-cluster.ts';

const never = new AbortController().signal;
const runnerJob = 'pgrr-again';
const cleanupJob = 'pgrc-again';
const minute = 60_000;

let cluster: FakeCluster;
let started: Running;
/** Why the server refuses Jobs of cleanups. */
let refusal: string | undefined;

/** A RestoreRequest whose Job is made. */
beforeEach(async () => {
  cluster = new FakeCluster('2026-01-01T12:00:00Z');
  refusal = undefined;
  const client: KubeClient = {
    ...cluster.client,
    create: (type, object, signal) => {
      if (refusal !== undefined && object.metadata.name === cleanupJob) throw new KubeError('Forbidden', refusal);
      return cluster.client.create(type, object, signal);
    },
  };
  started = startController(cluster, { client });
  await addFoundBackup(cluster);
  await cluster.create(asSent(buildRestore()));
  await cluster.advance(3000);
  return async () => {
    await started.stop();
  };
});

const request = (): Promise<RestoreRequest> => cluster.get<RestoreRequest>(resources.restoreRequest, 'again');
const succeeded = async (): Promise<string> => {
  const [condition] = (await request()).status?.conditions ?? [];
  return `${condition?.status} ${condition?.reason}`;
};
const message = async (): Promise<string> => (await request()).status?.conditions?.[0]?.message ?? '';
const runs = async (): Promise<void> => {
  await cluster.makePod(runnerJob, 'pod-1', running);
  await cluster.advance(1000);
};
const dies = async (): Promise<void> => {
  await runs();
  await cluster.setPodStatus('pod-1', terminated(137, undefined, cluster.now()));
  await cluster.setJobCondition(runnerJob, 'Failed', 'BackoffLimitExceeded');
  await cluster.advance(2000);
};
const failure = { verdict: 'Failed', target: 'Untouched', reason: 'ConnectionLost', message: 'lost' } as const;

describe('A restore whose end is not known', () => {
  it('because the runner says that it could not settle, is settled by a cleanup', async () => {
    await cluster.finishJob(runnerJob, restoreVerdict({ ...failure, unsettled: true }));
    await cluster.advance(3000);
    expect(await succeeded()).toBe('Unknown CleaningUp');
    const line = { type: 'result', v: 1, kind: 'restored', target: 'app', outcome: 'Restored', previous: 'app_old' };
    await cluster.finishJob(cleanupJob, cleanupVerdict({ target: 'Restored', resultLines: 1 }), [line]);
    await cluster.advance(3000);
    expect(await succeeded()).toBe('True RecoveredAfterSwap');
    expect((await request()).status?.databases).toEqual([{ target: 'app', outcome: 'Restored', previous: 'app_old' }]);
  });

  it('and of which the server had refused a part, is no success', async () => {
    await cluster.finishJob(runnerJob, restoreVerdict({ ...failure, unsettled: true }));
    await cluster.advance(3000);
    await cluster.finishJob(cleanupJob, cleanupVerdict({ target: 'Restored', refused: 3 }));
    await cluster.advance(3000);
    expect(await succeeded()).toBe('False RestoredInPart');
    expect(await message()).toContain('without 3 entries that the server refused');
    expect((await request()).status).toMatchObject({ phase: 'RestoredInPart', databases: [{ outcome: 'Restored' }] });
  });

  it('because a try has vanished that came after the one that spoke', async () => {
    await cluster.makePod(runnerJob, 'pod-1', terminated(75, JSON.stringify(restoreVerdict(failure)), cluster.now()));
    const job = await cluster.get<KubeObject>(resources.job, runnerJob);
    const at = cluster.now();
    const conditions = [{ type: 'Failed', status: 'True', lastTransitionTime: at, reason: 'BackoffLimitExceeded' }];
    await cluster.client.putStatus(resources.job, { ...job, status: { conditions, failed: 2 } }, never);
    await cluster.advance(3000);
    expect(await succeeded()).toBe('Unknown CleaningUp');
  });

  it('because its Job was deleted: the cleanup waits for its pod, but not for ever', async () => {
    await runs();
    // As `kubectl delete --cascade=orphan` leaves it.
    await cluster.client.delete(resources.job, 'shop', runnerJob, { propagation: 'Orphan' }, never);
    await cluster.advance(2000);
    expect(await succeeded()).toBe('Unknown CleaningUp');
    expect(await message()).toContain('waits until its runner has ended');
    expect(await cluster.openJobs('cleanup')).toEqual([]);
    await cluster.advance(9 * minute);
    expect(await cluster.openJobs('cleanup')).toEqual([]);
    await cluster.advance(2 * minute);
    expect(await cluster.openJobs('cleanup')).toEqual([cleanupJob]);
    await cluster.finishJob(cleanupJob, cleanupVerdict());
    await cluster.advance(3000);
    expect(await succeeded()).toBe('False JobDeleted');
  });

  it('begins its cleanup as soon as the orphaned pod has ended', async () => {
    await runs();
    await cluster.client.delete(resources.job, 'shop', runnerJob, { propagation: 'Orphan' }, never);
    await cluster.advance(2000);
    await cluster.setPodStatus('pod-1', terminated(0, undefined, cluster.now()));
    await cluster.advance(2000);
    expect(await cluster.openJobs('cleanup')).toEqual([cleanupJob]);
  });

  it('is never told as untouched when a runner ended with 0, though no verdict of it can be read', async () => {
    await runs();
    await cluster.setPodStatus('pod-1', terminated(0, '{"v":1,"kind":"restore","verd', cluster.now()));
    await cluster.setJobCondition(runnerJob, 'Complete', '');
    await cluster.advance(3000);
    await cluster.finishJob(cleanupJob, cleanupVerdict());
    await cluster.advance(3000);
    expect(await succeeded()).toBe('False RunnerKilled');
    expect(await message()).toContain('nobody knows what the target is now');
    expect((await request()).status).not.toHaveProperty('databases');
  });

  it('has succeeded when the runner says so after all', async () => {
    await runs();
    await cluster.client.delete(resources.job, 'shop', runnerJob, { propagation: 'Orphan' }, never);
    await cluster.advance(2000);
    await cluster.setPodStatus('pod-1', terminated(0, JSON.stringify(restoreVerdict()), cluster.now()));
    await cluster.advance(3000);
    expect(await succeeded()).toBe('True Restored');
    expect(await cluster.names(resources.job)).not.toContain(cleanupJob);
  });

  it('is given up when no cleanup can be made within an hour', async () => {
    refusal = 'exceeded quota';
    await dies();
    expect(await succeeded()).toBe('Unknown CleaningUp');
    expect(await message()).toContain('the Job of the cleanup is refused: exceeded quota');
    await cluster.advance(58 * minute);
    expect(await succeeded()).toBe('Unknown CleaningUp');
    // The pause between two tries has grown.
    await cluster.advance(10 * minute);
    expect(await succeeded()).toBe('False RunnerKilled');
    expect(await message()).toContain('could not be cleared up (exceeded quota)');
    expect((await request()).metadata.finalizers ?? []).toEqual([]);
  });

  it('is cleaned up when what refused the Job is gone', async () => {
    refusal = 'exceeded quota';
    await dies();
    refusal = undefined;
    await cluster.advance(minute);
    expect(await cluster.openJobs('cleanup')).toEqual([cleanupJob]);
  });

  it('holds up no namespace that is going', async () => {
    refusal = 'unable to create new content in namespace shop because it is being terminated';
    await dies();
    await cluster.client.delete(resources.restoreRequest, 'shop', 'again', {}, never);
    await cluster.advance(15_000);
    expect(await cluster.names(resources.restoreRequest)).toEqual([]);
    expect(await cluster.told('again')).toContain('CleanupFailed');
  });

  it('gets another cleanup when somebody deletes the first one', async () => {
    await dies();
    await cluster.client.delete(resources.job, 'shop', cleanupJob, {}, never);
    await cluster.advance(2000);
    expect(await cluster.openJobs('cleanup')).toEqual([cleanupJob]);
  });

  it('keeps others from its database until it is settled', async () => {
    await dies();
    await cluster.create(asSent(buildRestore({ name: 'second' })));
    await cluster.advance(3000);
    expect(await cluster.openJobs('restore')).toEqual([]);
    await cluster.finishJob(cleanupJob, cleanupVerdict());
    await cluster.advance(5000);
    expect(await cluster.openJobs('restore')).toEqual(['pgrr-second']);
  });
});
