import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../local/executor-world.ts';
import { findBackups } from '../local/found-backups.ts';
import { whyNoKubeApiserver } from '../servers/kube-apiserver.ts';
import { startOperatorStand, type OperatorStand } from './operator-stand.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const assets = process.env['KUBEBUILDER_ASSETS'];
const missing = whyNoKubeApiserver(assets, 'kube-controller-manager', 'kubectl');
const crds = readdirSync(join(root, 'crds')).map((file) => readFileSync(join(root, 'crds', file), 'utf8'));
const install = readFileSync(join(root, 'manifests/install-namespaced.yaml'), 'utf8');
const namespaces = (...names: readonly string[]): string =>
  names.map((name) => `apiVersion: v1\nkind: Namespace\nmetadata: { name: ${name} }\n`).join('---\n');
const backup = (name: string) => ({
  apiVersion: 'pgbackup.dev/v1beta1',
  kind: 'Backup',
  metadata: { name },
  spec: { policy: 'nightly' },
});

describe.skipIf(missing !== undefined)(`The operator of one namespace${missing ? ` (${missing})` : ''}`, () => {
  let stand: OperatorStand;
  const account = 'system:serviceaccount:shop:pgbackup-operator';
  const may = async (...args: readonly string[]): Promise<string> =>
    (await stand.ask(['auth', 'can-i', '--as', account, ...args])).stdout.trim();

  beforeAll(async () => {
    stand = await startOperatorStand(
      assets ?? '',
      [namespaces('shop', 'other'), ...crds].join('---\n'),
      ...['shop', 'other'].map((name) => install.replaceAll('my-namespace', name)),
    );
    for (const name of ['shop', 'other']) await stand.kubectl(['-n', name, 'apply', '-f', '-'], ...stand.objects);
  });
  afterAll(async () => stand?.stop());

  it('runs a backup there, with the rights of its account and nothing else, and leaves other namespaces alone', async () => {
    await stand.startController('shop', { namespace: 'shop' });
    for (const name of ['other', 'shop']) await stand.kubectl(['-n', name, 'apply', '-f', '-'], backup('now'));
    await stand.kubectl(['-n', 'shop', 'wait', '--for=condition=Succeeded', 'pgb/now', '--timeout=120s']);
    expect(findBackups(stand.backups)).toMatchObject([{ id: 'now', databases: ['shop'] }]);
    // Everything that it does has an event: nothing of it was refused.
    expect(await stand.kubectl(['-n', 'shop', 'get', 'events', '-o', 'name'])).not.toBe('');
    expect(await stand.kubectl(['-n', 'shop', 'get', 'events'])).not.toMatch(/refuse|forbidden/i);
    expect(await stand.kubectl(['-n', 'other', 'get', 'jobs,events', '-o', 'name'])).toBe('');
    const status = ['-n', 'other', 'get', 'pgb,pgbp,pgbl', '-o', 'jsonpath={.items[*].status}'];
    expect(await stand.kubectl(status)).toBe('');
  });

  it('has no rights in the cluster, nor in another namespace, nor on Secrets', async () => {
    expect(await may('list', 'pgb', '-n', 'shop')).toBe('yes');
    expect(await may('list', 'pgb', '-A')).toBe('no');
    expect(await may('list', 'pgb', '-n', 'other')).toBe('no');
    expect(await may('create', 'jobs', '-n', 'other')).toBe('no');
    expect(await may('get', 'secrets', '-n', 'shop')).toBe('no');
    expect(await may('create', 'pods', '-n', 'shop')).toBe('no');
  });

  it('may make no Jobs but runners, each namespace by a rule of its own', async () => {
    for (const name of ['shop', 'other']) {
      const as = ['--as', `system:serviceaccount:${name}:pgbackup-operator`];
      const words = await until('the rule holds', async () => {
        const job = ['-n', name, 'create', 'job', 'foreign', '--image=kube.test/pgbackup:1', '--dry-run=server'];
        return (await stand.ask([...job, ...as])).stderr;
      });
      expect(words).toContain('that an object of pgbackup owns');
    }
    await stand.kubectl(['-n', 'shop', 'create', 'job', 'foreign', '--image=busybox', '--dry-run=server']);
  });
});
