import { describe, expect, it } from 'vitest';
import type { RestoreVerdict } from '../../src/domain/report.ts';
import { openLocalClient } from '../../src/local/open-client.ts';
import { tellAbort } from '../../src/local/tell-abort.ts';
import { jobNameLabel, podType, type ContainerTerminated } from '../../src/local/workload-types.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { never } from './executor-world.ts';
import { restoreRequest } from './restores.ts';

const going = restoreRequest('r', ['Unknown', 'Running'], { phase: 'Running' });
const verdict = (change: Partial<RestoreVerdict>): string =>
  JSON.stringify({
    v: 1,
    kind: 'restore',
    verdict: 'Failed',
    target: 'Untouched',
    attempt: 'a',
    startedAt: 'a',
    completedAt: 'b',
    readBytes: 0,
    plainBytes: 0,
    resultLines: 0,
    ...change,
  });

/** The request after a stop at which its pods had ended like this. */
async function tell(pods: readonly Partial<ContainerTerminated>[], request = going) {
  const client = openLocalClient({ clock: systemClock, random: systemRandom, readLog: async () => '' });
  for (const [index, terminated] of pods.entries()) {
    const metadata = { name: `p${index}`, namespace: 'default', labels: { [jobNameLabel]: 'pgrr-r' } };
    const pod = await client.create(podType, { apiVersion: 'v1', kind: 'Pod', metadata, spec: {} }, never);
    const containerStatuses = [{ name: 'runner', state: { terminated: { startedAt: 'x', ...terminated } } }];
    await client.putStatus(podType, { ...pod, status: { phase: 'Failed', containerStatuses } }, never);
  }
  const forgotten: string[] = [];
  const forgetRestore = (uid: string): void => void forgotten.push(uid);
  const [told] = await tellAbort({ client, forgetRestore }, [request], 0);
  return {
    forgotten,
    condition: told?.status?.conditions?.[0],
    databases: told?.status?.databases,
    phase: told?.status?.phase,
  };
}

describe('a restore that was stopped', () => {
  it('says what its runner said last', async () => {
    const message = verdict({ reason: 'Aborted', message: 'stopped by SIGTERM while loading' });
    expect(await tell([{ message }])).toMatchObject({
      forgotten: ['uid-r'],
      phase: 'Failed',
      condition: { status: 'False', reason: 'Aborted', message: 'stopped by SIGTERM while loading' },
      databases: [{ target: 'shop', outcome: 'Untouched' }],
    });
  });
  it('is a success when the swap was done before it could be stopped', async () => {
    const done = verdict({ verdict: 'Succeeded', target: 'Restored' });
    expect(await tell([{ message: verdict({ reason: 'ServerUnreachable' }) }, { message: done }])).toMatchObject({
      phase: 'Succeeded',
      condition: { status: 'True', reason: 'Restored' },
      databases: [{ outcome: 'Restored' }],
    });
  });
  it('promises nothing when its runner was killed, and that nothing was done when it was never started', async () => {
    expect(await tell([{ exitCode: 137 }])).toMatchObject({
      forgotten: [],
      condition: { reason: 'RunnerKilled', message: expect.stringContaining('may be left') as string },
      databases: undefined,
    });
    expect(await tell([])).toMatchObject({
      forgotten: ['uid-r'],
      condition: { reason: 'Aborted' },
      databases: [{ target: 'shop', outcome: 'Untouched' }],
    });
  });
  it('is cleared up after at the next start when its runner could not', async () => {
    const message = verdict({ reason: 'ConnectionLost', message: 'the server is gone', unsettled: true });
    expect(await tell([{ message }])).toMatchObject({ forgotten: [], condition: { reason: 'ConnectionLost' } });
  });
  it('is left alone when it had ended', async () => {
    const ended = restoreRequest('r', ['False', 'CheckFailed', 'no'], { phase: 'Failed' });
    expect(await tell([{ message: verdict({ reason: 'Aborted' }) }], ended)).toMatchObject({
      condition: { reason: 'CheckFailed' },
    });
  });
});
