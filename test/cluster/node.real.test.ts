import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBackups } from '../local/found-backups.ts';
import { imagePrograms } from '../servers/build-image.ts';
import { whyNoKubeNode } from '../servers/kube-node.ts';
import { keepBackupDiary } from './backup-diary.ts';
import { tryEnding, tryLosingNode } from './cases-of-ending.ts';
import { tryInterrupting } from './cases-of-interrupting.ts';
import { tryFailover, tryTwoReplicas } from './cases-of-leading.ts';
import { restoring } from './cases-of-restoring.ts';
import { tryStarting, tryWaiting } from './cases-of-starting.ts';
import { tryIds, tryRights, tryShowing, tryVolume } from './cases-of-using.ts';
import type { ClusterScene } from './cluster-scene.ts';
import { startClusterStand, type ClusterStand } from './cluster-stand.ts';
import { openClusterUser } from './cluster-user.ts';

const missing = whyNoKubeNode(process.env, ...imagePrograms);

// One story on one node: each case leaves the cluster as the next one needs it. What takes minutes by design begins early and is
// heard late.
describe('on a real node', () => {
  let known: ClusterScene | undefined;
  const times: string[] = [];
  const scene = (): ClusterScene => {
    if (known === undefined) throw new Error('the operator was not installed');
    return known;
  };
  const note = (what: string, seconds: number): void => void times.push(`${what}: ${seconds.toFixed(1)} s`);

  if (missing !== undefined) {
    it('is tried as a whole', (context) => context.skip(missing));
    return;
  }
  let stand: ClusterStand;
  beforeAll(async () => {
    stand = await startClusterStand();
    note('image built', stand.imageSeconds);
  }, 600_000);
  afterAll(async () => {
    console.log(times.join('\n'));
    await known?.diary.stop();
    await stand?.stop();
  }, 120_000);

  it('is installed by kubectl apply, and the first Backup succeeds', async () => {
    const user = openClusterUser(stand);
    const startedAt = performance.now();
    await stand.install();
    const diary = keepBackupDiary(stand.node);
    known = { stand, user, diary, note };
    await user.makeNamespace('shop');
    await user.apply(
      'shop',
      user.policy('nightly', { schedule: '* * * * *' }),
      user.backup('before-upgrade', 'nightly'),
    );
    await user.kubectl(['-n', 'shop', 'wait', '--for=condition=Succeeded', 'pgb/before-upgrade', '--timeout=120s']);
    note('from kubectl apply to the first backup', (performance.now() - startedAt) / 1000);

    const row = await user.kubectl(['-n', 'shop', 'get', 'pgb', 'before-upgrade', '--no-headers']);
    expect(row).toMatch(/^before-upgrade +nightly +Succeeded +Succeeded +[\d.]+ k?B +2\/2 /);
    expect(findBackups(stand.bucket).map(({ id }) => id)).toContain('before-upgrade');
    expect(findBackups(stand.sftpFolder).map(({ id }) => id)).toContain('before-upgrade');
  });

  const restores = restoring(scene);
  tryStarting(scene);
  restores.begin();
  tryTwoReplicas(scene);
  tryRights(scene);
  tryVolume(scene);
  tryIds(scene);
  tryEnding(scene);
  tryShowing(scene);
  tryInterrupting(scene);
  tryFailover(scene);
  tryWaiting(scene);
  restores.finish();
  tryLosingNode(scene);
});
