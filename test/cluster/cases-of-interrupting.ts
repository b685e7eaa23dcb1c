import { beforeAll, describe, expect, it } from 'vitest';
import type { Scene } from './cluster-scene.ts';
import { document, until } from './cluster-user.ts';
import { findProcesses } from './find-processes.ts';
import { endOf, restoreTarget } from './restore-parts.ts';

/** Restores of a backup of the policy `nightly` in the namespace `shop` that are ended from outside right before their swap. */
export function tryInterrupting(scene: Scene): void {
  describe('a restore that is ended right before its swap leaves the target as it was, and nothing beside it:', () => {
    const names = ['murdered', 'unwanted'] as const;
    beforeAll(async () => {
      const { user, stand } = scene();
      const port = await stand.openDoor();
      for (const name of names) {
        await stand.server.sql(`CREATE DATABASE ${name}`);
        await stand.server.sql(`CREATE TABLE of_yesterday AS SELECT 'kept' AS note`, name);
      }
      await user.apply(
        'shop',
        ...names.map((name) =>
          document('RestoreRequest', name, {
            spec: {
              source: { backup: { name: 'before-upgrade' } },
              target: restoreTarget({ host: stand.node.address, port }, name),
              // The server goes on with it when its client is gone.
              afterSql: [`SELECT '${name}', pg_sleep(900)`],
              runner: { retries: 0 },
            },
          }),
        ),
      );
    }, 60_000);

    /** Scratch databases in which it waits. */
    const waitingIn = async (name: string): Promise<readonly string[]> => {
      const found = await scene().stand.server.sql<{ datname: string }>(
        `SELECT datname FROM pg_stat_activity WHERE query ~ '^SELECT .${name}., pg_sleep'`,
      );
      return found.map(({ datname }) => datname);
    };
    const scratchOf = async (name: string): Promise<string> =>
      until(`${name} waits`, 60, async () =>
        (await waitingIn(name)).find((each) => each.startsWith('pgbackup_restore_')),
      );
    const expectAsBefore = async (name: string, scratch: string): Promise<void> => {
      const { server } = scene().stand;
      expect(await server.sql('SELECT * FROM of_yesterday', name)).toEqual([{ note: 'kept' }]);
      expect(await server.sql(`SELECT datname FROM pg_database WHERE datname = '${scratch}'`)).toEqual([]);
      expect(await waitingIn(name)).toEqual([]);
    };

    it('by SIGKILL: a Job clears up, then it has failed', async () => {
      const { user, note } = scene();
      const scratch = await scratchOf('murdered');
      const [pod] = await user.list('shop', 'pods', 'pgbackup.dev/restore=murdered');
      const runners = findProcesses(`pod${pod?.metadata.uid}`, '/app/dist/main.js');
      expect(runners).toHaveLength(1);
      const killedAt = Date.now();
      for (const pid of runners) process.kill(pid, 'SIGKILL');
      // As the README waits: until the end, whichever it is.
      const wait = ['-n', 'shop', 'wait', 'pgrr/murdered'];
      await user.kubectl([...wait, '--for=jsonpath={.status.completedAt}', '--timeout=120s']);
      const judged = await scene().stand.node.ask([...wait, '--for=condition=Succeeded', '--timeout=0']);
      expect(judged.exitCode).toBe(1);
      const of = { namespace: 'shop', type: 'pgrr', name: 'murdered' };
      const { reason, message } = await user.waitForCondition(of, { type: 'Succeeded', status: 'False' }, 120);
      expect(reason).toBe('RunnerKilled');
      expect(message).toContain('the target is as it was');
      const request = await user.get('shop', 'pgrr', 'murdered');
      expect(request.status).toMatchObject({
        phase: 'Failed',
        cleanupJob: 'pgrc-murdered',
        databases: [{ target: 'murdered', outcome: 'Untouched' }],
      });
      note('murdered: cleared up, after the signal', (endOf(request) - killedAt) / 1000);
      await expectAsBefore('murdered', scratch);
    });

    it('by kubectl delete: it goes when it is cleared up', async () => {
      const { user, note } = scene();
      const scratch = await scratchOf('unwanted');
      const deletedAt = performance.now();
      await user.kubectl(['-n', 'shop', 'delete', 'pgrr', 'unwanted', '--timeout=120s']);
      note('unwanted: gone, after kubectl delete', (performance.now() - deletedAt) / 1000);
      await expectAsBefore('unwanted', scratch);
      await until('its Jobs and pods are gone', 60, async () => {
        const jobs = await user.list('shop', 'jobs', 'pgbackup.dev/restore=unwanted');
        const pods = await user.list('shop', 'pods', 'pgbackup.dev/restore=unwanted');
        return jobs.length + pods.length === 0 ? true : undefined;
      });
    });
  });
}
