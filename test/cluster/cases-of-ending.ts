import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBackups } from '../local/found-backups.ts';
import type { Scene } from './cluster-scene.ts';
import { testImage } from './cluster-stand.ts';
import { until } from './cluster-user.ts';
import { findProcesses } from './find-processes.ts';

const once = { retries: 0 };

/** Runners that are ended from outside while they work, in the namespace `trouble`. */
export function tryEnding(scene: Scene): void {
  const stored = (): readonly string[] => {
    const { bucket, sftpFolder } = scene().stand;
    return [...findBackups(bucket), ...findBackups(sftpFolder)].map(({ id }) => id);
  };

  describe('a runner that is ended while it works', () => {
    let lock: Lock;
    let longLock: Lock;
    beforeAll(async () => {
      const { user, stand } = scene();
      for (const database of ['locked', 'forever']) {
        await stand.server.sql(`CREATE DATABASE ${database}`);
        await stand.server.sql('CREATE TABLE held (i int)', database);
      }
      lock = await holdTable(scene, 'locked');
      longLock = await holdTable(scene, 'forever');
      // So that they keep no place from others while they wait.
      const port = await stand.openDoor();
      await user.apply(
        'trouble',
        user.policy('killed', { runner: once, database: 'locked', port }),
        user.policy('slow', {
          runner: { ...once, deadlineSeconds: 30 },
          database: 'forever',
          port: await stand.openDoor(),
        }),
        user.policy('drained', { runner: once, database: 'locked', port }),
        user.backup('killed'),
        user.backup('slow'),
      );
    }, 60_000);
    afterAll(async () => {
      await lock?.release();
      await longLock?.release();
    });

    it('by SIGKILL: the run has failed', async () => {
      const { user, diary, note } = scene();
      await diary.hear('trouble', 'killed', ['Running']);
      const [pod] = await user.podsOf('trouble', 'killed');
      const runners = findProcesses(`pod${pod?.metadata.uid}`, '/app/dist/main.js');
      expect(runners).toHaveLength(1);
      const killedAt = performance.now();
      for (const pid of runners) process.kill(pid, 'SIGKILL');
      expect(await diary.hear('trouble', 'killed', ['RunnerKilled'])).toMatchObject({ status: 'False' });
      note('killed: RunnerKilled, after the signal', (performance.now() - killedAt) / 1000);
    });

    it('by kubectl drain: another pod runs in its place, though there are no retries, and succeeds', async () => {
      const { user, diary, stand, note } = scene();
      await user.apply('trouble', user.backup('drained'));
      await diary.hear('trouble', 'drained', ['Running']);
      const [first] = await user.podsOf('trouble', 'drained');
      const [node] = await user.list('default', 'nodes');
      const name = node?.metadata.name ?? '';
      const startedAt = performance.now();
      const chosen = ['--pod-selector=pgbackup.dev/backup=drained', '--timeout=60s'];
      try {
        // The folders of a runner are of no use to anybody after it.
        const drain = ['drain', name, '--ignore-daemonsets', '--delete-emptydir-data', ...chosen];
        expect(await user.kubectl(drain)).toContain(`node/${name} drained`);
      } finally {
        await user.kubectl(['uncordon', name]);
      }
      note('drained: evicted', (performance.now() - startedAt) / 1000);
      await lock.release();
      const { status } = await diary.hear('trouble', 'drained', ['Succeeded'], 90);
      expect(status).toBe('True');
      note('drained: Succeeded, after the eviction', (performance.now() - startedAt) / 1000);
      const pods = await user.podsOf('trouble', 'drained');
      expect(pods.map(({ metadata }) => metadata.uid)).not.toContain(first?.metadata.uid);
      // The Job hears of it after us.
      await until('the Job has succeeded', 30, async () => {
        const { status: job } = await user.get('trouble', 'job', 'pgb-drained');
        return job?.['succeeded'] === 1 ? true : undefined;
      });
      // One manifest at each place; nothing of the try that was ended.
      for (const folder of [stand.bucket, stand.sftpFolder]) {
        expect(findBackups(folder).filter(({ id }) => id === 'drained')).toHaveLength(1);
      }
    });

    it('by its deadline: the run has failed, and says why', async () => {
      const { diary, note } = scene();
      const ended = await diary.hear('trouble', 'slow', ['DeadlineExceeded'], 90);
      expect(ended).toMatchObject({ status: 'False', message: expect.stringContaining('30 s') as string });
      note('slow: DeadlineExceeded (30 s)', ended.seconds);
      expect(stored()).not.toContain('slow');
      expect(stored()).not.toContain('killed');
    });
  });

  it('names an image that is not there; when it comes, the run goes on', async () => {
    const { user, diary, stand, note } = scene();
    const elsewhere = 'kube.test/elsewhere:1';
    await stand.node.renameImage(testImage, elsewhere);
    try {
      await user.apply('trouble', user.policy('image', { runner: once }), user.backup('image'));
      const entry = await diary.hear('trouble', 'image', ['ImageUnavailable']);
      note('image: ImageUnavailable', entry.seconds);
      expect(entry).toMatchObject({ status: 'Unknown', message: expect.stringContaining(testImage) as string });
    } finally {
      await stand.node.renameImage(elsewhere, testImage);
    }
    const { seconds } = await diary.hear('trouble', 'image', ['Succeeded'], 90);
    note('image: Succeeded', seconds);
  });
}

/** The last: afterwards no pod starts any more. */
export function tryLosingNode(scene: Scene): void {
  it('judges a run whose node is gone', async () => {
    const { user, diary, stand, note } = scene();
    const lock = await holdTable(scene, 'locked');
    try {
      await user.apply(
        'trouble',
        user.policy('lost', { runner: { ...once, deadlineSeconds: 30 }, database: 'locked' }),
        user.backup('lost'),
      );
      await diary.hear('trouble', 'lost', ['Running']);
      await stand.node.killKubelet();
      const final = await until('a final answer', 200, async () =>
        diary.entries('trouble', 'lost').find(({ status }) => status !== 'Unknown'),
      );
      note(`lost: ${final.reason} (30 s)`, final.seconds);
      expect(final.status).toBe('False');
      expect(['PodEvicted', 'DeadlineExceeded']).toContain(final.reason);
      // 30 s of its own, 90 s for its node, and a look.
      expect(final.seconds).toBeLessThan(30 + 90 + 30);
      const of = { namespace: 'trouble', type: 'pgbp', name: 'lost' };
      await user.waitForCondition(of, { type: 'Healthy', status: 'False', reason: 'LastRunFailed' }, 10);
    } finally {
      await lock.release();
    }
  }, 240_000);
}

interface Lock {
  release(): Promise<void>;
}

/** Dumps of the database wait until it is released. */
async function holdTable(scene: Scene, database: string): Promise<Lock> {
  const { server, node } = scene().stand;
  const { port, user, password } = server;
  const client = new Client({ host: node.address, port, user, password, database });
  await client.connect();
  await client.query('BEGIN; LOCK TABLE held IN ACCESS EXCLUSIVE MODE');
  let ended: Promise<void> | undefined;
  return { release: async () => (ended ??= client.end()) };
}
