import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backup, RestorePolicy, RestoreRequest } from '../../src/api/kinds.ts';
import { resources } from '../../src/controller/resources.ts';
import { isKubeError, type KubeObject, type ResourceType } from '../../src/kube/client.ts';
import type { HttpKubeClient } from '../../src/kube/http-client.ts';
import { whyNoKubeApiserver } from '../servers/kube-apiserver.ts';
import type { Postgres } from '../servers/postgres.ts';
import { startOperatorStand, type OperatorStand } from './operator-stand.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const assets = process.env['KUBEBUILDER_ASSETS'] ?? '';
const missing = whyNoKubeApiserver(process.env['KUBEBUILDER_ASSETS'], 'kube-controller-manager', 'kubectl');
const never = new AbortController().signal;
const namespace = 'default';
/** So long a restore holds still before its swap: time enough to look at it, to kill it or to delete it. */
const pause = 'SELECT pg_sleep(120)';

/** The Job controller, the roles and the garbage collector are real; pods are processes. */
describe.skipIf(missing !== undefined)(`Restores on a real API server${missing ? ` (${missing})` : ''}`, () => {
  let stand: OperatorStand;
  let server: Postgres;
  let client: HttpKubeClient;

  const until = async <T>(what: string, look: () => Promise<T | undefined>, seconds = 90): Promise<T> => {
    const giveUp = performance.now() + seconds * 1000;
    for (;;) {
      const found = await look();
      if (found !== undefined) return found;
      if (performance.now() > giveUp) throw new Error(`never happened: ${what}`);
      await delay(200);
    }
  };
  const get = async <T>(type: ResourceType, name: string): Promise<T | undefined> =>
    (await client.get(type, namespace, name, never)) as unknown as T | undefined;
  const create = async (type: ResourceType, name: string, rest: object): Promise<void> => {
    const version = type.group === '' ? type.version : `${type.group}/${type.version}`;
    await client.create(type, { apiVersion: version, kind: type.kind, metadata: { name, namespace }, ...rest }, never);
  };
  const postgres = () => ({
    host: server.host,
    port: server.port,
    tls: { mode: 'disable' },
    credentials: { secretName: 'login' },
  });
  const restore = (name: string, more: object = {}): Promise<void> =>
    create(resources.restoreRequest, name, {
      spec: {
        source: { backup: { name: 'before' } },
        target: { postgres: postgres(), database: 'shop' },
        runner: { retries: 0 },
        ...more,
      },
    });
  const endOf = (name: string): Promise<{ readonly says: string; readonly request: RestoreRequest }> =>
    until(`the end of ${name}`, async () => {
      const request = await get<RestoreRequest>(resources.restoreRequest, name);
      const condition = request?.status?.conditions?.find(({ type }) => type === 'Succeeded');
      if (request === undefined || condition === undefined || condition.status === 'Unknown') return undefined;
      return { request, says: `${condition.status} ${condition.reason}: ${condition.message}` };
    });
  const databases = async (): Promise<readonly string[]> => {
    const rows = await server.sql<{ datname: string }>(
      'SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1',
    );
    return rows.map(({ datname }) => datname);
  };
  const orders = async (): Promise<number> => {
    const [row] = await server.sql<{ n: number }>('SELECT count(*)::int AS n FROM orders', 'shop');
    return row?.n ?? -1;
  };
  /** The runner has loaded all and sleeps before its checks. */
  const asleep = (): Promise<true> =>
    until('a restore that sleeps', async () => {
      const rows = await server.sql(`SELECT 1 FROM pg_stat_activity WHERE query = '${pause}' AND state = 'active'`);
      return rows.length > 0 ? true : undefined;
    });

  beforeAll(async () => {
    stand = await startOperatorStand(assets, readFileSync(join(root, 'manifests/install.yaml'), 'utf8'));
    ({ client, server } = stand);
    await stand.startController('pgbackup-system');
    await stand.kubectl(['apply', '-f', '-'], ...stand.objects);
    await create(resources.backup, 'before', { spec: { policy: 'nightly' } });
    await until('the backup', async () => {
      const backup = await get<Backup>(resources.backup, 'before');
      return backup?.status?.phase === 'Succeeded' ? true : undefined;
    });
    await server.sql('DELETE FROM orders WHERE id > 100', 'shop');
  });
  afterAll(async () => stand?.stop());

  it('whose runner is killed before the swap are cleared up: the target is as it was, and nothing is left', async () => {
    await restore('killed', { afterSql: [pause] });
    await asleep();
    expect((await databases()).some((name) => name.startsWith('pgbackup_restore_'))).toBe(true);
    process.kill(findRunner(stand.nodeFolder), 'SIGKILL');
    const { says, request } = await endOf('killed');
    expect(says).toMatch(/^False RunnerKilled: .*; the target is as it was$/);
    expect(request.status).toMatchObject({
      cleanupJob: 'pgrc-killed',
      databases: [{ target: 'shop', outcome: 'Untouched' }],
    });
    expect(await databases()).toEqual(['postgres', 'shop']);
    expect(await orders()).toBe(100);
  });

  it('that are deleted in mid-run go after a cleanup, and leave nothing', async () => {
    await restore('unwanted', { afterSql: [pause] });
    await asleep();
    await client.delete(resources.restoreRequest, namespace, 'unwanted', { propagation: 'Foreground' }, never);
    await until('the request is gone', async () => {
      return (await get(resources.restoreRequest, 'unwanted')) === undefined ? true : undefined;
    });
    expect(await databases()).toEqual(['postgres', 'shop']);
    expect(await orders()).toBe(100);
    await until('its Jobs are gone', async () => {
      const { items } = await client.list(
        resources.job,
        { namespace, labelSelector: 'pgbackup.dev/restore=unwanted' },
        never,
      );
      return items.length === 0 ? true : undefined;
    });
  });

  it('bring back what was lost, and let go of what they held', async () => {
    await restore('back', {
      checks: [{ sql: 'SELECT count(*) FROM orders', value: '5000' }],
      ttlSecondsAfterFinished: 5,
    });
    const { says, request } = await endOf('back');
    expect(says).toMatch(/^True Restored: restored shop from before at disk/);
    expect(request.status?.source).toMatchObject({ location: 'disk', backup: 'before' });
    expect(await orders()).toBe(5000);
    expect(await databases()).toEqual(['postgres', 'shop']);
    await until('the request is gone', async () => {
      return (await get(resources.restoreRequest, 'back')) === undefined ? true : undefined;
    });
  });

  it('are made by a policy, which restores once and then finds nothing new', async () => {
    await create(resources.restorePolicy, 'copy', {
      spec: {
        schedule: '* * * * *',
        template: {
          spec: {
            source: { policy: { name: 'nightly', latest: true } },
            target: { postgres: postgres(), database: 'copy' },
          },
        },
      },
    });
    const status = await until(
      'a restore and one that was not needed',
      async () => {
        const policy = await get<RestorePolicy>(resources.restorePolicy, 'copy');
        return (policy?.status?.runs?.Unchanged ?? 0) > 0 ? policy?.status : undefined;
      },
      170,
    );
    expect(status.runs).toMatchObject({ Succeeded: 1, Failed: 0 });
    expect(status.lastRestored).toMatchObject({ backup: 'before', location: 'disk' });
    expect(status.conditions?.map(({ type, status: truth }) => `${type} ${truth}`)).toEqual([
      'Ready True',
      'Healthy True',
    ]);
    expect(await databases()).toEqual(['copy', 'postgres', 'shop']);
    // What it made goes with it.
    await client.delete(resources.restorePolicy, namespace, 'copy', {}, never);
    await until('its requests are gone', async () => {
      const { items } = await client.list(resources.restoreRequest, { namespace }, never);
      return items.every(({ metadata }: KubeObject) => !metadata.name?.startsWith('copy-')) ? true : undefined;
    });
  }, 240_000);

  it('refuse a spec that changes', async () => {
    await restore('fixed', { source: { backup: { name: 'nothing' } } });
    const { says } = await endOf('fixed');
    expect(says).toBe('False BackupMissing: there is no Backup nothing; the target is as it was');
    const object = await get<KubeObject>(resources.restoreRequest, 'fixed');
    const changed = { ...object, spec: { ...(object?.spec as object), mode: 'Create' } } as KubeObject;
    const error = await client.put(resources.restoreRequest, changed, never).catch((failure: unknown) => failure);
    expect(isKubeError(error, 'Invalid') && error.message).toContain('the spec of a RestoreRequest is immutable');
  });
});

/** The process of the pod that restores: its folder is in its command line or environment. */
function findRunner(nodeFolder: string): number {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const isNode = readFileSync(`/proc/${entry}/cmdline`, 'utf8').includes('main.ts\0runner');
      if (isNode && readFileSync(`/proc/${entry}/environ`, 'utf8').includes(nodeFolder)) return Number(entry);
    } catch {
      // It has just ended.
    }
  }
  throw new Error('no runner runs');
}
