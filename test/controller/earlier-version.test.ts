import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { RestoreRequest } from '../../src/api/kinds.ts';
import { resources } from '../../src/controller/resources.ts';
import type { KubeObject } from '../../src/kube/client.ts';
import { FakeCluster, running, startController, terminated, type Running } from './fake-cluster.ts';
import { addFoundBackup } from './with-found-backup.ts';

// Objects and answers as an earlier version wrote them, which is replaced while its restore goes on.
const object = z.looseObject({ metadata: z.looseObject({ name: z.string() }) });
const vectors = z
  .object({
    runs: z.array(z.object({ what: z.string(), code: z.int(), verdict: z.string(), lines: z.array(z.string()) })),
    running: z.object({ request: object, job: object }),
    settling: z.object({ request: object, job: object, cleanup: object }),
  })
  .parse(JSON.parse(await readFile(new URL('../golden/earlier-version.json', import.meta.url), 'utf8')));

let cluster: FakeCluster;
let started: Running;
beforeEach(async () => {
  cluster = new FakeCluster('2026-01-01T12:00:00Z');
  const before = startController(cluster);
  await addFoundBackup(cluster);
  await before.stop();
});
afterEach(async () => started.stop());

const never = new AbortController().signal;

/** The request and its Jobs, with the uids that this cluster gives; then the controller of this version. */
async function takeOver(found: z.infer<typeof object>, ...jobs: readonly z.infer<typeof object>[]): Promise<void> {
  const uid = String(found.metadata['uid']);
  let own = '';
  for (const given of [found, ...jobs]) {
    const { status, ...made } = JSON.parse(JSON.stringify(given).replaceAll(uid, own)) as KubeObject;
    const created = await cluster.create(made);
    own ||= created.metadata.uid ?? '';
    const type = created.kind === 'Job' ? resources.job : resources.restoreRequest;
    if (status !== undefined) await cluster.client.putStatus(type, { ...created, status }, never);
  }
  started = startController(cluster);
  await cluster.advance(3000);
}

/** The Job ends as it did with a runner of that version. */
async function finish(job: string, what: string): Promise<void> {
  const run = vectors.runs.find((each) => each.what === what);
  const pod = `${job}-pod`;
  cluster.logs.set(pod, run?.lines.join('\n') ?? '');
  await cluster.makePod(job, pod, terminated(run?.code ?? -1, run?.verdict, cluster.now()));
  await cluster.setJobCondition(job, run?.code === 0 ? 'Complete' : 'Failed');
  await cluster.advance(3000);
}

const request = (): Promise<RestoreRequest> => cluster.get<RestoreRequest>(resources.restoreRequest, 'again');

describe('A restore that an earlier version began', () => {
  it('goes on with the Job that it has, and ends by the words of its runner', async () => {
    await takeOver(vectors.running.request, vectors.running.job);
    await cluster.makePod('pgrr-again', 'pod-1', running);
    await cluster.advance(60_000);
    expect(await cluster.openJobs('restore')).toEqual(['pgrr-again']);
    expect((await request()).status).toMatchObject({ job: 'pgrr-again', startedAt: '2026-01-01T12:00:05Z' });

    await finish('pgrr-again', 'a restore');
    const { status, metadata } = await request();
    expect(status).toMatchObject({
      phase: 'Succeeded',
      conditions: [{ status: 'True', reason: 'Restored' }],
      databases: [
        { target: 'app', outcome: 'Restored', previous: expect.stringMatching(/^app_\d{8}t\d{6}z$/) as string },
      ],
    });
    expect(metadata.finalizers ?? []).toEqual([]);
  });

  it.each([
    ['a restore whose check does not hold', 'CheckFailed', 'Untouched'],
    ['a restore in part', 'RestoredInPart', 'Restored'],
  ])('ends as %s', async (what, reason, outcome) => {
    await takeOver(vectors.running.request, vectors.running.job);
    await finish('pgrr-again', what);
    const { status } = await request();
    expect(status?.conditions?.[0]).toMatchObject({ status: 'False', reason });
    expect(status?.databases?.[0]).toMatchObject({ target: 'app', outcome });
  });

  it('and whose runner died is settled by the cleanup that it has', async () => {
    await takeOver(vectors.settling.request, vectors.settling.job, vectors.settling.cleanup);
    expect(await cluster.openJobs('cleanup')).toEqual(['pgrc-again']);
    await finish('pgrc-again', 'a cleanup behind a restore that was done');
    const { status, metadata } = await request();
    expect(status?.conditions?.[0]).toMatchObject({ status: 'True', reason: 'RecoveredAfterSwap' });
    expect(metadata.finalizers ?? []).toEqual([]);
    expect(await cluster.names(resources.job)).toEqual(expect.arrayContaining(['pgrc-again', 'pgrr-again']));
  });
});
