import { beforeEach, describe, expect, it } from 'vitest';
import type { RestoreRequest } from '../../src/api/kinds.ts';
import { resources } from '../../src/controller/resources.ts';
import type { KubeObject } from '../../src/kube/client.ts';
import { asSent, buildPolicy, buildRestore } from '../builders/objects.ts';
import { cleanupVerdict, restoreVerdict } from '../builders/verdicts.ts';
import { addFoundBackup } from './with-found-backup.ts';
import { FakeCluster, running, startController, terminated, type Running } from './fake-cluster.ts';

const never = new AbortController().signal;
const runnerJob = 'pgrr-again';
const cleanupJob = 'pgrc-again';

let cluster: FakeCluster;
let started: Running;

/** A location that was looked at and holds one backup of `nightly`, and a controller. */
beforeEach(async () => {
  cluster = new FakeCluster('2026-01-01T12:00:00Z');
  started = startController(cluster);
  await addFoundBackup(cluster);
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
const held = async (): Promise<boolean> => ((await request()).metadata.finalizers ?? []).length > 0;

async function begin(spec: object = {}, metadata: object = {}): Promise<void> {
  await cluster.create(asSent(buildRestore({ spec, metadata })));
  await cluster.advance(3000);
}

/** The pod runs, and then is killed without a word. */
async function kill(): Promise<void> {
  await cluster.makePod(runnerJob, 'pod-1', running);
  await cluster.advance(1000);
  await cluster.setPodStatus('pod-1', terminated(137, undefined, cluster.now(), 'OOMKilled'));
  await cluster.setJobCondition(runnerJob, 'Failed', 'BackoffLimitExceeded');
  await cluster.advance(2000);
}

describe('A RestoreRequest', () => {
  it('restores the newest backup of a policy that exists no more, and says from where to where', async () => {
    await begin();
    expect(await cluster.openJobs('restore')).toEqual([runnerJob]);
    expect(await succeeded()).toBe('Unknown Starting');
    expect((await request()).status?.source).toEqual({
      backup: 'nightly-20251231t030000z',
      backupUid: 'made-as-nightly-20251231t030000z',
    });
    expect(await held()).toBe(true);

    await cluster.finishJob(runnerJob, restoreVerdict());
    await cluster.advance(3000);
    expect(await succeeded()).toBe('True Restored');
    expect(await message()).toBe('restored app from nightly-20260101t030000z at near (6000 bytes)');
    expect((await request()).status).toMatchObject({
      phase: 'Succeeded',
      databases: [{ target: 'app', outcome: 'Restored' }],
      plainBytes: 6000,
    });
    expect(await held()).toBe(false);
    expect(await cluster.told('again')).toEqual(['JobCreated', 'Restored']);
  });

  it('that this version cannot read is not ended while it has a Job: one that can judges it', async () => {
    await begin();
    const { spec } = await request();
    const rewrite = async (mode: string) =>
      cluster.update(resources.restoreRequest, 'again', (object) => ({ ...object, spec: { ...spec, mode } }));
    cluster.admitsAll = true;
    await rewrite('Merge');
    await cluster.makePod(runnerJob, 'pod-1', running);
    await cluster.advance(7200_000);
    expect(await succeeded()).toBe('Unknown SpecInvalid');
    expect(await message()).toContain('spec.mode: Unsupported value: "Merge"');
    expect(await held()).toBe(true);

    await rewrite(spec.mode);
    await cluster.finishJob(runnerJob, restoreVerdict());
    await cluster.advance(3000);
    expect(await succeeded()).toBe('True Restored');
    expect(await held()).toBe(false);
  });

  it('that failed says that the target is as it was, and takes no second Job', async () => {
    await begin();
    const verdict = restoreVerdict({
      verdict: 'Failed',
      target: 'Untouched',
      reason: 'CheckFailed',
      message: 'no rows',
    });
    await cluster.finishJob(runnerJob, verdict);
    await cluster.advance(600_000);
    expect(await succeeded()).toBe('False CheckFailed');
    expect(await message()).toBe('no rows; the target is as it was');
    expect(await cluster.names(resources.job)).not.toContain(cleanupJob);
    expect(await held()).toBe(false);
  });

  it.each([
    [
      'a word of success without a restored target',
      restoreVerdict({ target: 'Untouched' }),
      'False Internal',
      'the runner ended as if it had succeeded, but says not that it restored app; nobody knows what the target is now',
    ],
    [
      'an unchanged source',
      restoreVerdict({ unchanged: true, target: 'Untouched' }),
      'True Unchanged',
      'nightly-20260101t030000z at near was restored before',
    ],
    [
      'a failure in the middle',
      restoreVerdict({ verdict: 'Failed', target: 'Changed', reason: 'SqlFailed', message: 'no', hint: 'look' }),
      'False SqlFailed',
      'no; look; the target was changed in part',
    ],
    [
      'a restore without what the server refused',
      restoreVerdict({ verdict: 'PartlyFailed', reason: 'RestoredInPart', message: 'without 1' }),
      'False RestoredInPart',
      'without 1',
    ],
    [
      'a failure without a reason',
      restoreVerdict({ verdict: 'Failed', target: 'Untouched' }),
      'False Internal',
      'the restore failed; the target is as it was',
    ],
  ])('takes %s for what it is', async (_, verdict, says, text) => {
    await begin();
    await cluster.finishJob(runnerJob, verdict);
    await cluster.advance(3000);
    expect(await succeeded()).toBe(says);
    expect(await message()).toBe(text);
  });

  it('with several databases has not succeeded when the log tells that one of them is not there', async () => {
    const databases = ['a', 'b'].map((name) => ({ source: 'app', target: name }));
    await begin({ target: { postgres: buildRestore().spec.target.postgres, databases } });
    const line = { type: 'result', v: 1, kind: 'restored', target: 'a', outcome: 'Restored', notes: ['without x'] };
    await cluster.finishJob(runnerJob, restoreVerdict({ resultLines: 1 }), [line]);
    await cluster.advance(3000);
    expect(await succeeded()).toBe('False Internal');
    expect(await message()).toContain('but not that it restored b');
    expect((await request()).status?.databases).toEqual([{ target: 'a', outcome: 'Restored', notes: ['without x'] }]);
  });

  it('tells its progress, and what it waits for', async () => {
    await begin();
    const progress = { type: 'progress', v: 1, plainBytes: 5, bytesPerSecond: 1, databasesDone: 0, databasesTotal: 1 };
    cluster.logs.set('pod-1', JSON.stringify({ ...progress, step: 'Fetching' }));
    await cluster.makePod(runnerJob, 'pod-1', running);
    await cluster.advance(1000);
    expect(await succeeded()).toBe('Unknown Fetching');
    expect((await request()).status).toMatchObject({ phase: 'Running', progress: { step: 'Fetching', plainBytes: 5 } });
    cluster.logs.set('pod-1', JSON.stringify({ ...progress, waiting: 'WaitingForStorage', detail: 'it grows' }));
    await cluster.advance(11_000);
    expect(await succeeded()).toBe('Unknown WaitingForStorage');
    expect(await message()).toBe('it grows');
    await cluster.finishJob(runnerJob, restoreVerdict());
    await cluster.advance(3000);
    expect((await request()).status?.progress).toBeUndefined();
  });

  it('whose runner is killed is cleared up, and has failed when the target is as it was', async () => {
    await begin();
    await kill();
    expect(await succeeded()).toBe('Unknown CleaningUp');
    expect((await request()).status?.phase).toBe('CleaningUp');
    expect(await cluster.openJobs('cleanup')).toEqual([cleanupJob]);
    await cluster.finishJob(cleanupJob, cleanupVerdict());
    await cluster.advance(3000);
    expect(await succeeded()).toBe('False OutOfMemory');
    expect(await message()).toMatch(/out of memory; the target is as it was$/);
    expect((await request()).status?.databases).toEqual([{ target: 'app', outcome: 'Untouched' }]);
    expect(await held()).toBe(false);
  });

  it('whose runner is killed after the swap has succeeded', async () => {
    await begin();
    await kill();
    await cluster.finishJob(cleanupJob, cleanupVerdict({ target: 'Restored' }));
    await cluster.advance(3000);
    expect(await succeeded()).toBe('True RecoveredAfterSwap');
    expect((await request()).status).toMatchObject({
      source: { backup: 'nightly-20251231t030000z' },
      databases: [{ target: 'app', outcome: 'Restored' }],
    });
  });

  it('that cannot be cleared up has failed for the first reason, and names what may be left', async () => {
    await begin();
    await kill();
    await cluster.finishJob(
      cleanupJob,
      cleanupVerdict({ verdict: 'Failed', reason: 'AuthenticationFailed', message: 'no' }),
    );
    await cluster.advance(3000);
    expect(await succeeded()).toBe('False OutOfMemory');
    expect(await message()).toContain('could not be cleared up (AuthenticationFailed: no)');
    expect((await request()).status?.databases).toBeUndefined();
    expect(await cluster.told('again')).toContain('CleanupFailed');
    expect(await held()).toBe(false);
  });

  it('in place is settled, too: it may have committed, or some of its databases', async () => {
    await begin({ mode: 'InPlace' });
    expect(await held()).toBe(true);
    await kill();
    expect(await succeeded()).toBe('Unknown CleaningUp');
    const line = { type: 'result', v: 1, kind: 'restored', target: 'app', outcome: 'Changed' };
    await cluster.finishJob(cleanupJob, cleanupVerdict({ target: 'Changed', resultLines: 1 }), [line]);
    await cluster.advance(3000);
    expect(await succeeded()).toBe('False OutOfMemory');
    expect(await message()).toMatch(/; the target was changed in part$/);
    expect((await request()).status?.databases).toEqual([{ target: 'app', outcome: 'Changed' }]);
    expect(await held()).toBe(false);
  });

  it('whose pod never started leaves nothing, and needs no cleanup', async () => {
    await begin();
    const waiting = { waiting: { reason: 'ImagePullBackOff', message: 'no such image' } };
    await cluster.makePod(runnerJob, 'pod-1', { containerStatuses: [{ name: 'runner', state: waiting }] });
    await cluster.advance(31 * 60_000);
    expect(await succeeded()).toBe('False ImageUnavailable');
    expect(await message()).toMatch(/; the target is as it was$/);
    expect(await cluster.names(resources.job)).not.toContain(cleanupJob);
    expect(await cluster.names(resources.job)).not.toContain(runnerJob);
  });

  it('that is deleted in mid-run goes only after its runner has ended and a cleanup is done', async () => {
    await begin();
    await cluster.makePod(runnerJob, 'pod-1', running);
    await cluster.advance(1000);
    await cluster.client.delete(resources.restoreRequest, 'shop', 'again', {}, never);
    await cluster.advance(2000);
    expect(await cluster.names(resources.restoreRequest)).toEqual(['again']);
    // The memory server takes Jobs with their pods.
    expect(await cluster.names(resources.job)).not.toContain(runnerJob);
    await cluster.advance(10_000);
    expect(await cluster.openJobs('cleanup')).toEqual([cleanupJob]);
    await cluster.finishJob(cleanupJob, cleanupVerdict({ dropped: ['pgbackup_restore_x'] }));
    await cluster.advance(3000);
    expect(await cluster.names(resources.restoreRequest)).toEqual([]);
  });

  it('that is deleted before it had a Job goes at once', async () => {
    await begin({ source: { file: { location: 'absent', key: 'x.dump' } } });
    expect(await succeeded()).toBe('Unknown LocationMissing');
    await cluster.client.delete(resources.restoreRequest, 'shop', 'again', {}, never);
    await cluster.advance(1000);
    expect(await cluster.names(resources.restoreRequest)).toEqual([]);
  });

  it('goes ttlSecondsAfterFinished after its end', async () => {
    await begin({ ttlSecondsAfterFinished: 60 });
    await cluster.finishJob(runnerJob, restoreVerdict({ completedAt: cluster.now() }));
    await cluster.advance(50_000);
    expect(await cluster.names(resources.restoreRequest)).toEqual(['again']);
    await cluster.advance(15_000);
    expect(await cluster.names(resources.restoreRequest)).toEqual([]);
  });

  it.each([
    ['annotations', 'argocd.argoproj.io/tracking-id', 'Argo CD'],
    ['labels', 'kustomize.toolkit.fluxcd.io/name', 'Flux'],
  ])('stays after its time, and says so, when a tool would make it again (%s: %s)', async (where, key, tool) => {
    const spec = { ttlSecondsAfterFinished: 60 };
    await begin(spec, { [where]: { [key]: 'shop' } });
    const events = await cluster.list(resources.event);
    const told = events.filter((event) => event['reason'] === 'KeptForGit');
    expect(told).toMatchObject([{ message: expect.stringContaining(`${tool} keeps this request`) as string }]);
    await cluster.finishJob(runnerJob, restoreVerdict({ completedAt: cluster.now() }));
    await cluster.advance(3_600_000);
    expect(await cluster.names(resources.restoreRequest)).toEqual(['again']);
  });

  it('waits for another one that restores to the same database', async () => {
    await begin();
    await cluster.create(asSent(buildRestore({ name: 'second' })));
    await cluster.create(
      asSent(buildRestore({ name: 'third', spec: { target: { ...buildRestore().spec.target, database: 'app2' } } })),
    );
    await cluster.advance(3000);
    const second = await cluster.get<RestoreRequest>(resources.restoreRequest, 'second');
    expect(second.status?.phase).toBe('Queued');
    expect(second.status?.conditions?.[0]?.message).toBe('waits for again, which restores to the same database');
    // (The backup holds one database: it is restored under any name.)
    expect(await cluster.openJobs('restore')).toEqual([runnerJob, 'pgrr-third']);
    await cluster.finishJob(runnerJob, restoreVerdict());
    await cluster.advance(3000);
    expect(await cluster.openJobs('restore')).toEqual(['pgrr-second', 'pgrr-third']);
  });
});

describe('A RestoreRequest and Backups', () => {
  it('share a server, and no restore waits for a backup', async () => {
    const { postgres } = buildRestore().spec.target;
    const source = { postgres: { ...postgres, databases: { all: true } } };
    for (const name of ['one', 'two']) {
      await cluster.create(asSent(buildPolicy({ name, spec: { source, schedule: undefined } })));
      const backup: KubeObject = {
        apiVersion: 'pgbackup.dev/v1beta1',
        kind: 'Backup',
        metadata: { name: `${name}-now`, namespace: 'shop' },
        spec: { policy: name },
      };
      await cluster.create(backup);
    }
    await cluster.advance(2000);
    expect(await cluster.openJobs('backup')).toHaveLength(2);
    await begin();
    expect(await cluster.openJobs('restore')).toEqual([runnerJob]);
    expect(await succeeded()).toBe('Unknown Starting');
  });
});
