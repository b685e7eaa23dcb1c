import { afterAll, describe, expect, it } from 'vitest';
import type { Scene } from './cluster-scene.ts';
import { document, until } from './cluster-user.ts';
import {
  endOf,
  findOverlaps,
  keyOf,
  listRequests,
  listWorkingTimes,
  readWorkingTime,
  reasonOf,
  restoreTarget,
  slotOfRequest,
  suspendRestores,
} from './restore-parts.ts';
import { beginRestoring, lateBy, newer, type Restoring } from './restore-story.ts';

const minute = 60_000;

/**
 * What comes from an SFTP server by a schedule, in the namespaces `restore` and `late`: `begin` makes policies, files and places;
 * `finish` tells what has become of them three minutes later, and is to be listed so late that nobody waits for it.
 */
export function restoring(scene: Scene): { readonly begin: () => void; readonly finish: () => void } {
  let known: Restoring | undefined;
  const restores = (): Restoring => {
    if (known === undefined) throw new Error('no restore was begun');
    return known;
  };
  return {
    begin: () => {
      afterAll(async () => {
        await known?.diary.stop();
        await known?.late.then(async (sshd) => sshd.stop());
      });
      it('takes policies that restore by a schedule, also from a server that is not there yet', async () => {
        known = await beginRestoring(scene());
        const { user } = scene();
        for (const name of ['refresh', 'rival']) {
          const of = { namespace: 'restore', type: 'pgrp', name };
          await user.waitForCondition(of, { type: 'Ready', status: 'True' }, 30);
        }
        await user.waitForCondition(
          { namespace: 'late', type: 'pgrp', name: 'late' },
          { type: 'Ready', status: 'True' },
          30,
        );
      });
    },
    finish: () => {
      describe('restores by a schedule', () => tryScheduled(scene, restores));
      it('restores the newest backup of a policy, and a backup by its name', async () => tryBackups(scene));
    },
  };
}

function tryScheduled(scene: Scene, restores: () => Restoring): void {
  const requestsOf = async (namespace: string, policy: string) => listRequests(scene().user, namespace, policy);
  const withReason = async (what: string, namespace: string, policy: string, reason: string) =>
    until(what, 150, async () => (await requestsOf(namespace, policy)).find((each) => reasonOf(each) === reason));
  const rowsOf = async (database: string) =>
    scene().stand.server.sql(`SELECT count(*)::int AS rows, min(note) AS note FROM orders`, database);

  it('at its time: the newest ZIP is fetched, checked, restored, and the status tells it', async () => {
    const { user, note } = scene();
    const { newestBytes } = restores();
    const request = await withReason('the first restore', 'restore', 'refresh', 'Restored');
    const { name } = request.metadata;
    await user.kubectl(['-n', 'restore', 'wait', '--for=condition=Succeeded', `pgrr/${name}`, '--timeout=5s']);
    expect(request.status).toMatchObject({
      phase: 'Succeeded',
      source: {
        location: 'drop',
        key: 'shop-2.zip',
        bytes: newestBytes,
        member: 'dumps/orders.dump',
        format: 'Custom',
      },
      databases: [{ target: 'staging', outcome: 'Restored' }],
      conditions: [{ message: expect.stringContaining('restored staging from shop-2.zip at drop') as string }],
    });
    note('refresh: restored, after its slot', (endOf(request) - slotOfRequest(request)) / 1000);
    // The newer file may have come since.
    const { before } = await restores().newer;
    expect(before.rows).toEqual([{ rows: 200, note: 'masked' }]);
    expect(before.status).toMatchObject({
      lastRestored: { key: 'shop-2.zip', bytes: newestBytes, member: 'dumps/orders.dump' },
      lastRestoredGeneration: 1,
    });
  });

  it('at the next slot: the same file is not restored again', async () => {
    const request = await withReason('a slot with nothing new', 'restore', 'refresh', 'Unchanged');
    expect(request.spec).toMatchObject({ unlessRestored: { key: 'shop-2.zip' } });
    expect(request.status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'Succeeded', status: 'True', reason: 'Unchanged' }),
    );
  });

  it('when a newer file has come, by the slot after it', async () => {
    const { bytes, leftAt } = await restores().newer;
    const request = await until('the newer file is restored', 150, async () =>
      (await requestsOf('restore', 'refresh')).find((each) => reasonOf(each) === 'Restored' && keyOf(each) === newer),
    );
    expect(slotOfRequest(request)).toBeLessThanOrEqual(Math.ceil(leftAt / minute) * minute);
    expect(request.status?.['source']).toMatchObject({ bytes, member: 'dumps/orders.sql.gz', format: 'Sql' });
    expect(await rowsOf('staging')).toEqual([{ rows: 300, note: 'masked' }]);
  });

  it('when the server comes two minutes later: waits for it; of the slots that come meanwhile the last stays due', async () => {
    const { user, note } = scene();
    const { diary, lateSlot, late } = restores();
    const slot = await lateSlot();
    await late;
    const request = await withReason('the late restore', 'late', 'late', 'Restored');
    // The one that waited, not one after it.
    expect(slotOfRequest(request)).toBe(slot);
    expect(endOf(request)).toBeGreaterThan(slot + lateBy - 1000);
    note('late: restored, after its server came', (endOf(request) - slot - lateBy) / 1000);
    const said = diary.entries('late', request.metadata.name).map(({ reason }) => reason);
    expect(said).toContain('WaitingForStorage');
    expect(said.at(-1)).toBe('Restored');
    expect(await rowsOf('tardy')).toEqual([{ rows: keyOf(request) === newer ? 300 : 200, note: 'masked' }]);
    // It is the first and, until it ended, the only one; the slot before its end is still due then.
    const others = (await requestsOf('late', 'late')).filter((each) => slotOfRequest(each) !== slot);
    for (const other of others) expect(slotOfRequest(other)).toBeGreaterThanOrEqual(slot + lateBy);
    const shown = await user.kubectl(['-n', 'late', 'describe', 'pgrp', 'late']);
    expect(shown).toMatch(/Events:[^]*RunSkipped [^]*is skipped: late-[0-9tz]+ still goes on/);
    expect((await user.get('late', 'pgrp', 'late')).status?.['missedRuns']).toBeGreaterThanOrEqual(1);
  });

  it('one after the other, when two policies have the same target', async () => {
    const { user } = scene();
    const { diary } = restores();
    await suspendRestores(user, 'restore', 'refresh');
    await suspendRestores(user, 'late', 'late');
    const all = await until('all restores end', 90, async () => {
      const found = [...(await user.list('restore', 'pgrr')), ...(await user.list('late', 'pgrr'))];
      return found.every((each) => each.status?.['completedAt'] !== undefined) ? found : undefined;
    });
    for (const { metadata, status } of all) expect(status?.['phase'], metadata.name).toBe('Succeeded');
    const queued = (await requestsOf('restore', 'rival')).flatMap(({ metadata }) =>
      diary.entries('restore', metadata.name).filter(({ reason }) => reason === 'Queued'),
    );
    expect(queued.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(/^waits for refresh-[0-9tz]+, which restores to the same database$/),
    );
    for (const namespace of ['restore', 'late']) {
      const told = all.filter(({ metadata }) => metadata.namespace === namespace).map(readWorkingTime);
      const worked = await listWorkingTimes(user, namespace);
      expect(worked.length).toBeGreaterThanOrEqual(told.length);
      for (const times of [told, worked]) {
        expect(times.length).toBeGreaterThanOrEqual(namespace === 'restore' ? 4 : 1);
        expect(findOverlaps(times)).toEqual([]);
      }
    }
    // Nothing is left of them on the server.
    const left = await scene().stand.server.sql(`SELECT datname FROM pg_database WHERE datname ~ '^pgbackup_'`);
    expect(left).toEqual([]);
  });

  it('and kubectl shows it', async () => {
    const { user } = scene();
    const [request] = (await requestsOf('restore', 'refresh')).filter((each) => reasonOf(each) === 'Restored');
    const name = request?.metadata.name ?? '';
    const rows = await user.kubectl(['-n', 'restore', 'get', 'pgrr', name, '-o', 'wide', '--no-headers']);
    expect(rows).toMatch(/^refresh-\S+ +Succeeded +Restored +Replace +staging +shop-2\.zip +[\d.]+ k?B /);
    const policies = await user.kubectl(['-n', 'restore', 'get', 'pgrp', 'refresh', '--no-headers']);
    expect(policies).toMatch(/^refresh +\* \* \* \* \* +True +True +Suspended /);
    const whole = await user.kubectl(['-n', 'restore', 'describe', 'pgrr', name]);
    expect(whole).toMatch(/Events:[^]*JobCreated [^]*created the Job pgrr-refresh-/);
    expect(whole.slice(whole.indexOf('\nEvents:'))).toMatch(/Normal +Restored /);
    const policy = await user.kubectl(['-n', 'restore', 'describe', 'pgrp', 'refresh']);
    expect(policy).toMatch(/Last Restored:[^]*Key: +shop-0\.zip[^]*Events:[^]*RestoreCreated/);
  });
}

/** Of the policy `nightly` in the namespace `shop`, which has run by then. */
async function tryBackups(scene: Scene): Promise<void> {
  const { user, stand, note } = scene();
  const where = { host: stand.node.address, port: await stand.openDoor() };
  const request = (name: string, source: object): object =>
    document('RestoreRequest', name, {
      spec: {
        source,
        target: restoreTarget(where, name.replaceAll('-', '_')),
        mode: 'Create',
        checks: [{ sql: 'SELECT count(*) FROM orders', value: '20000' }],
      },
    });
  await user.apply(
    'shop',
    request('latest-copy', { policy: { name: 'nightly', latest: true } }),
    request('named-copy', { backup: { name: 'before-upgrade', location: 'sftp' } }),
  );
  const backups = await user.list('shop', 'pgb', 'pgbackup.dev/policy=nightly');
  const newest = backups
    .map(({ metadata }) => metadata.name)
    .toSorted()
    .at(-1);
  for (const [name, backup, location] of [
    ['latest-copy', newest, 'bucket'],
    ['named-copy', 'before-upgrade', 'sftp'],
  ] as const) {
    await user.kubectl(['-n', 'shop', 'wait', '--for=condition=Succeeded', `pgrr/${name}`, '--timeout=90s']);
    const { status, metadata } = await user.get('shop', 'pgrr', name);
    expect(status).toMatchObject({ phase: 'Succeeded', source: { backup, location } });
    note(
      `${name}: Restored`,
      (endOf({ metadata, status: status ?? {} }) - Date.parse(String(status?.['startedAt']))) / 1000,
    );
    const sum = `SELECT count(*)::int AS rows, md5(string_agg(note, ',' ORDER BY id)) AS sum FROM orders`;
    expect(await stand.server.sql(sum, name.replaceAll('-', '_'))).toEqual(await stand.server.sql(sum, 'shop'));
  }
}
