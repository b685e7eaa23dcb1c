import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { findBackups } from '../local/found-backups.ts';
import { describeBackup } from './cases-of-starting.ts';
import type { Scene } from './cluster-scene.ts';
import { testImage } from './cluster-stand.ts';
import { document, until } from './cluster-user.ts';

const operator = 'pgbackup-system';
const account = `system:serviceaccount:${operator}:pgbackup-operator`;

/** What kubectl shows of the policy `nightly` in the namespace `shop`, which runs every minute. */
export function tryShowing(scene: Scene): void {
  it('runs the schedule, and kubectl get, describe, logs and wait show it', async () => {
    const { user, stand } = scene();
    const scheduled = await until('a scheduled run', 90, async () =>
      (await user.list('shop', 'pgb', 'pgbackup.dev/policy=nightly'))
        .map(({ metadata }) => metadata.name)
        .find((name) => name.startsWith('nightly-')),
    );
    await user.kubectl(['-n', 'shop', 'wait', '--for=condition=Succeeded', `backup/${scheduled}`, '--timeout=60s']);
    for (const folder of [stand.bucket, stand.sftpFolder]) {
      expect(findBackups(folder)).toContainEqual(expect.objectContaining({ id: scheduled, databases: ['shop'] }));
    }
    expect(await user.kubectl(['-n', 'shop', 'get', 'pgbp', 'nightly', '--no-headers'])).toMatch(
      /^nightly +\* \* \* \* \* +True +True +LastRunSucceeded/,
    );
    const locations = await user.kubectl(['-n', 'shop', 'get', 'pgbl', '--no-headers']);
    expect(locations.match(/ True +ProbePassed /g)).toHaveLength(2);
    const { whole, events } = await describeBackup(scene, 'shop', scheduled);
    expect(whole).toMatch(/Conditions:[^]*Message: +stored at bucket, sftp|Conditions:[^]*Reason: +Succeeded/);
    expect(events).toMatch(/Normal +JobCreated [^]*pgbackup-operator +created the Job pgb-nightly-/);
    expect(events).toMatch(/Normal +Succeeded /);
    const policy = await user.kubectl(['-n', 'shop', 'describe', 'pgbp', 'nightly']);
    expect(policy).toMatch(/Events:[^]*RunCreated/);
    const log = await user.kubectl(['-n', 'shop', 'logs', `job/pgb-${scheduled}`]);
    expect(log).toContain('"verdict":"Succeeded"');
  }, 180_000);

  it('answers at the Service with metrics', async () => {
    const { user } = scene();
    const service = await user.get(operator, 'service', 'pgbackup-operator-metrics');
    const url = `http://${String(service.spec?.['clusterIP'])}:8080/metrics`;
    // Either replica answers; only the one that works tells of objects. Each question is a connection of its own.
    const text = await until('metrics', 30, async () => {
      const answer = await fetch(url, { headers: { connection: 'close' } });
      const body = await answer.text();
      return answer.ok && body.includes('pgbackup_last_success_timestamp_seconds{') ? body : undefined;
    });
    expect(text).toContain('pgbackup_policy_ready{namespace="shop",policy="nightly"} 1');
    expect(text).toMatch(
      /pgbackup_last_success_timestamp_seconds\{namespace="shop",policy="nightly",location="sftp"\} \d{10}/,
    );
    expect(text).toMatch(/^pgbackup_controller_leader 1$/m);
  });
}

export function tryRights(scene: Scene): void {
  it('may not read Secrets, and runners have no API token', async () => {
    const { user, stand } = scene();
    for (const verb of ['get', 'list', 'watch']) {
      const { stdout } = await stand.node.ask(['auth', 'can-i', verb, 'secrets', '-A', '--as', account]);
      expect(stdout.trim(), verb).toBe('no');
    }
    const token = (await user.kubectl(['-n', operator, 'create', 'token', 'pgbackup-operator'])).trim();
    const config = parse(await readFile(stand.node.kubeconfig, 'utf8')) as { users: { name: string; user: object }[] };
    const asOperator = { ...config, users: config.users.map(({ name }) => ({ name, user: { token } })) };
    const path = join(stand.node.folder, 'operator.kubeconfig');
    await writeFile(path, JSON.stringify(asOperator), { mode: 0o600 });
    const call = async (...args: readonly string[]) => stand.node.ask(['--kubeconfig', path, ...args]);
    expect((await call('-n', 'shop', 'get', 'pgb', '-o', 'name')).stdout).toContain(
      'backup.pgbackup.dev/before-upgrade',
    );
    const refused = await call('-n', 'shop', 'get', 'secret', 'shop-db');
    expect(refused).toMatchObject({ exitCode: 1, stdout: '' });
    expect(refused.stderr).toContain(
      `(Forbidden): secrets "shop-db" is forbidden: User "${account}" cannot get resource`,
    );

    const [pod] = await user.podsOf('shop', 'before-upgrade');
    const text = JSON.stringify(pod);
    expect(text).toContain(testImage);
    expect(text).not.toContain('serviceAccountToken');
    expect(text).not.toContain('/var/run/secrets/kubernetes.io');
  });
}

/** As OpenShift does it: ids that the image knows nothing of. */
export function tryIds(scene: Scene): void {
  it.each([
    ['grouped', { runAsUser: 1_000_660_000, runAsGroup: 0, fsGroup: 1_000_660_000 }],
    ['alone', { runAsUser: 1_000_660_001, runAsGroup: 1_000_660_001 }],
  ])('backs up as a user that the image does not have: %s', async (name, securityContext) => {
    const { user, stand, diary } = scene();
    await user.makeNamespace(`ids-${name}`);
    await user.apply(`ids-${name}`, user.policy(name, { runner: { securityContext } }), user.backup(name));
    await diary.hear(`ids-${name}`, name, ['Succeeded'], 90);
    expect(findBackups(stand.bucket)).toContainEqual(expect.objectContaining({ id: name, databases: ['shop'] }));
    const [pod] = await user.podsOf(`ids-${name}`, name);
    expect(pod?.spec).toMatchObject({ securityContext: { runAsNonRoot: true, ...securityContext } });
  });
}

export function tryVolume(scene: Scene): void {
  it('backs up to a volume of the node', async () => {
    const { user, stand, diary, note } = scene();
    const path = join(stand.folder, 'volume');
    await mkdir(join(path, 'backups'), { recursive: true });
    const [node] = await user.list('default', 'nodes');
    const hostname = [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node?.metadata.name] }];
    const size = { storage: '1Gi' };
    const common = { accessModes: ['ReadWriteOnce'], storageClassName: '' };
    await user.makeNamespace('disk');
    await user.apply(
      'disk',
      document(
        'PersistentVolume',
        'disk',
        {
          spec: {
            ...common,
            capacity: size,
            local: { path },
            nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: hostname }] } },
          },
        },
        'v1',
      ),
      document(
        'PersistentVolumeClaim',
        'disk',
        { spec: { ...common, volumeName: 'disk', resources: { requests: size } } },
        'v1',
      ),
      document('BackupLocation', 'disk', { spec: { directory: { path: 'backups', claimName: 'disk' } } }),
      user.policy('disk', { locations: ['disk', 'bucket'] }),
      user.backup('disk'),
    );
    const { seconds } = await diary.hear('disk', 'disk', ['Succeeded'], 90);
    note('disk: Succeeded', seconds);
    for (const folder of [join(path, 'backups'), stand.bucket]) {
      expect(findBackups(folder)).toContainEqual(expect.objectContaining({ id: 'disk', databases: ['shop'] }));
    }
    const of = { namespace: 'disk', type: 'pgbl', name: 'disk' };
    await user.waitForCondition(of, { type: 'Available', status: 'True' }, 60);
  });
}
