import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { findBackups } from '../local/found-backups.ts';
import type { Scene } from './cluster-scene.ts';
import { until, type KubeObjectSeen } from './cluster-user.ts';
import { findProcesses } from './find-processes.ts';

const operator = 'pgbackup-system';
const minute = 60_000;
/** How long a Lease lasts (kube/lease.ts), and what looks at it and a new term may take. */
const takeoverSeconds = 15 + 10;

async function holderOf(scene: Scene): Promise<string> {
  const { spec } = await scene().user.get(operator, 'lease', 'pgbackup-operator');
  const holder = spec?.['holderIdentity'];
  return typeof holder === 'string' ? holder : '';
}

/** Two replicas; the policy `nightly` in the namespace `shop` runs every minute. */
export function tryTwoReplicas(scene: Scene): void {
  it('has two ready replicas, of which one leads', async () => {
    const { user } = scene();
    await user.kubectl(['-n', operator, 'rollout', 'status', 'deployment/pgbackup-operator', '--timeout=60s']);
    const names = (await user.list(operator, 'pods')).map(({ metadata }) => metadata.name);
    expect(names).toHaveLength(2);
    const logs = await Promise.all(names.map((name) => user.kubectl(['-n', operator, 'logs', name])));
    const leaders = names.filter((_, index) => logs[index]?.includes('"message":"leads"'));
    expect(leaders).toHaveLength(1);
    expect((await holderOf(scene)).startsWith(`${leaders[0]}_`)).toBe(true);
    expect(logs.join('')).not.toMatch(/Forbidden|cannot (get|list|watch|create|update)/);
  });
}

export function tryFailover(scene: Scene): void {
  it('goes on with another leader when the one that leads is killed right before a slot', async () => {
    const { user, diary, note } = scene();
    const before = await holderOf(scene);
    const leader = (await user.list(operator, 'pods')).find(({ metadata }) => before.startsWith(`${metadata.name}_`));
    const now = Date.now();
    const slot = Math.ceil((now + 3000) / minute) * minute;
    await delay(slot - 3000 - now);
    const killedAt = performance.now();
    for (const pid of findProcesses(`pod${leader?.metadata.uid}`, '/app/dist/main.js')) process.kill(pid, 'SIGKILL');
    const after = await until('another leader', takeoverSeconds, async () => {
      const holder = await holderOf(scene);
      return holder === before || holder === '' ? undefined : holder;
    });
    // The other replica, or the container that the kubelet has started again: whoever was the first to see the Lease for its whole time.
    const who = after.startsWith(`${leader?.metadata.name}_`)
      ? 'the same replica, started again,'
      : 'the other replica';
    note(`${who} leads`, (performance.now() - killedAt) / 1000);
    const name = nameOf(slot);
    expect(await diary.hear('shop', name, ['Succeeded'], 60)).toMatchObject({ status: 'True' });
    note('the slot ran, after its time', (Date.now() - slot) / 1000);
  });

  it('has run every slot once, before and after', async () => {
    const { user, stand } = scene();
    await user.kubectl(['-n', 'shop', 'patch', 'pgbp', 'nightly', '--type=merge', '-p', '{"spec":{"suspend":true}}']);
    const backups = await until('the runs end', 60, async () => {
      const found = (await user.list('shop', 'pgb', 'pgbackup.dev/policy=nightly')).filter(slotOf);
      return found.every((each) => isTrue(each)) ? found : undefined;
    });
    const slots = backups.map((each) => slotOf(each) ?? 0).toSorted((a, b) => a - b);
    expect(slots.length).toBeGreaterThanOrEqual(2);
    const [first = 0] = slots;
    expect(slots).toEqual(slots.map((_, index) => first + index * minute));
    const jobs = (await user.list('shop', 'jobs', 'pgbackup.dev/policy=nightly')).map(({ metadata }) => metadata.name);
    expect(jobs.toSorted()).toEqual(['pgb-before-upgrade', ...slots.map((slot) => `pgb-${nameOf(slot)}`)]);
    for (const folder of [stand.bucket, stand.sftpFolder]) {
      const stored = findBackups(folder).filter(({ policy, slot }) => policy === 'nightly' && slot !== undefined);
      expect(stored.map(({ slot = '' }) => Date.parse(slot)).toSorted((a, b) => a - b)).toEqual(slots);
    }
    const { status } = await user.get('shop', 'pgbp', 'nightly');
    expect(status).toMatchObject({ missedRuns: 0 });
  });
}

const slotOf = ({ spec }: KubeObjectSeen): number | undefined =>
  typeof spec?.['slot'] === 'string' ? Date.parse(spec['slot']) : undefined;
const isTrue = ({ status }: KubeObjectSeen): boolean =>
  status?.conditions?.some((each) => each.type === 'Succeeded' && each.status === 'True') ?? false;
/** As domain/names.ts names the run of a slot. */
const nameOf = (slot: number): string =>
  `nightly-${new Date(slot).toISOString().replace(/\.000/, '').replaceAll(/[-:]/g, '').toLowerCase()}`;
