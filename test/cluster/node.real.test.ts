import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client } from 'pg';
import { parse } from 'yaml';
import { findBackups } from '../local/found-backups.ts';
import { imagePrograms } from '../servers/build-image.ts';
import { whyNoKubeNode } from '../servers/kube-node.ts';
import { findProcesses } from './find-processes.ts';
import { document, print, startClusterStand, testImage, type ClusterStand } from './cluster-stand.ts';

const missing = whyNoKubeNode(process.env, ...imagePrograms);
const account = 'system:serviceaccount:pgbackup-system:pgbackup-operator';
const operator = ['-n', 'pgbackup-system'];
const deployment = 'deployment/pgbackup-operator';

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}
interface Listed {
  readonly items: readonly { readonly metadata: { readonly name: string } }[];
}

describe.skipIf(missing !== undefined)(`on a real node${missing ? ` (${missing})` : ''}`, () => {
  let stand: ClusterStand;
  let kubectl: ClusterStand['node']['kubectl'];
  const times: Record<string, number> = {};

  beforeAll(async () => {
    stand = await startClusterStand();
    const { node } = stand;
    kubectl = async (...args) => node.kubectl(...args);
    times['image built'] = stand.imageSeconds;
  }, 420_000);
  afterAll(async () => {
    console.log(
      Object.entries(times)
        .map(([what, seconds]) => `${what}: ${seconds.toFixed(1)} s`)
        .join('\n'),
    );
    await stand?.stop();
  }, 120_000);

  const apply = async (namespace: string, yaml: string): Promise<string> =>
    kubectl(['-n', namespace, 'apply', '-f', '-'], yaml);
  const policy = (
    name: string,
    runner: object,
    more: { database?: string; secret?: string; schedule?: string } = {},
  ): object =>
    document('BackupPolicy', name, {
      spec: {
        source: {
          postgres: {
            host: stand.node.address,
            port: stand.server.port,
            tls: { mode: 'disable' },
            credentials: { secretName: more.secret ?? 'shop-db' },
            databases: { names: [more.database ?? 'shop'] },
          },
        },
        ...(more.schedule === undefined ? {} : { schedule: more.schedule }),
        destinations: [{ location: 'bucket' }, { location: 'sftp' }],
        runner,
      },
    });
  const backup = (name: string, policyName = name): object =>
    document('Backup', name, { spec: { policy: policyName } });
  const makeNamespace = async (name: string): Promise<void> => {
    await kubectl(['create', 'namespace', name]);
    await kubectl(['label', 'namespace', name, 'pod-security.kubernetes.io/enforce=restricted']);
    await apply(name, stand.places());
  };
  const conditionOf = async (namespace: string, name: string): Promise<Condition | undefined> => {
    const text = await kubectl(['-n', namespace, 'get', 'pgb', name, '-o', 'json']);
    const { status } = JSON.parse(text) as { status?: { conditions?: readonly Condition[] } };
    return status?.conditions?.find(({ type }) => type === 'Succeeded');
  };
  /** Waits until a Backup says one of these reasons; how long it took since it was made is noted. */
  const hearReason = async (
    namespace: string,
    name: string,
    reasons: readonly string[],
    seconds = 60,
  ): Promise<Condition> => {
    const startedAt = performance.now();
    for (;;) {
      const condition = await conditionOf(namespace, name);
      const passed = (performance.now() - startedAt) / 1000;
      if (condition !== undefined && reasons.includes(condition.reason)) {
        times[`${name}: ${condition.reason}`] = passed;
        return condition;
      }
      if (passed > seconds) throw new Error(`${name} says after ${seconds} s: ${JSON.stringify(condition)}`);
      await delay(500);
    }
  };
  const podOf = async (namespace: string, name: string): Promise<string> => {
    const selector = `pgbackup.dev/backup=${name}`;
    return (
      await kubectl(['-n', namespace, 'get', 'pods', '-l', selector, '-o', 'jsonpath={.items[*].metadata.name}'])
    ).trim();
  };

  it('is installed by kubectl apply, and the first Backup succeeds', async () => {
    const startedAt = performance.now();
    await kubectl(['apply', '-f', '-'], stand.install);
    await kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
    await makeNamespace('shop');
    await apply('shop', print(policy('nightly', {}, { schedule: '* * * * *' }), backup('before-upgrade', 'nightly')));
    await kubectl(['-n', 'shop', 'wait', '--for=condition=Succeeded', 'pgb/before-upgrade', '--timeout=120s']);
    times['from kubectl apply to the first backup'] = (performance.now() - startedAt) / 1000;

    const row = await kubectl(['-n', 'shop', 'get', 'pgb', 'before-upgrade', '--no-headers']);
    expect(row).toMatch(/^before-upgrade +nightly +Succeeded +Succeeded +\d+ +2\/2 /);
    expect(findBackups(stand.bucket).map(({ id }) => id)).toContain('before-upgrade');
    expect(findBackups(stand.sftpFolder).map(({ id }) => id)).toContain('before-upgrade');
  });

  it('has two ready replicas, of which one leads', async () => {
    await kubectl([...operator, 'rollout', 'status', deployment, '--timeout=60s']);
    const listed = JSON.parse(await kubectl([...operator, 'get', 'pods', '-o', 'json'])) as Listed;
    const names = listed.items.map(({ metadata }) => metadata.name);
    expect(names).toHaveLength(2);
    const holder = await kubectl([
      ...operator,
      'get',
      'lease',
      'pgbackup-operator',
      '-o',
      'jsonpath={.spec.holderIdentity}',
    ]);
    const logs = await Promise.all(names.map((name) => kubectl([...operator, 'logs', name])));
    const leaders = names.filter((_, index) => logs[index]?.includes('"message":"leads"'));
    expect(leaders).toHaveLength(1);
    expect(holder.startsWith(`${leaders[0]}_`)).toBe(true);
    expect(logs.join('')).not.toMatch(/Forbidden|cannot (get|list|watch|create|update)/);
  });

  it('runs the schedule, and kubectl shows it', async () => {
    const find = ['-n', 'shop', 'get', 'pgb', '-l', 'pgbackup.dev/policy=nightly', '-o', 'json'];
    let scheduled: string | undefined;
    for (let tries = 0; scheduled === undefined && tries < 150; tries += 1) {
      const { items } = JSON.parse(await kubectl(find)) as Listed;
      scheduled = items.map(({ metadata }) => metadata.name).find((name) => name.startsWith('nightly-'));
      if (scheduled === undefined) await delay(500);
    }
    if (scheduled === undefined) throw new Error('nothing was scheduled');
    await kubectl(['-n', 'shop', 'wait', '--for=condition=Succeeded', `pgb/${scheduled}`, '--timeout=60s']);
    expect(findBackups(stand.bucket)).toContainEqual(expect.objectContaining({ id: scheduled, databases: ['shop'] }));
    expect(findBackups(stand.sftpFolder)).toContainEqual(
      expect.objectContaining({ id: scheduled, databases: ['shop'] }),
    );
    expect(await kubectl(['-n', 'shop', 'get', 'pgbp', 'nightly', '--no-headers'])).toMatch(
      /^nightly +\* \* \* \* \* +True +True +LastRunSucceeded/,
    );
    expect(await kubectl(['-n', 'shop', 'describe', 'pgb', scheduled])).toMatch(
      /Events:[^]*JobCreated[^]*pgbackup-operator/,
    );
    const locations = await kubectl(['-n', 'shop', 'get', 'pgbl', '--no-headers']);
    expect(locations.match(/ True +ProbePassed /g)).toHaveLength(2);
    const log = await kubectl(['-n', 'shop', 'logs', await podOf('shop', scheduled)]);
    expect(log).toContain('"verdict":"Succeeded"');
    // So that what follows is alone.
    await kubectl(['-n', 'shop', 'patch', 'pgbp', 'nightly', '--type=merge', '-p', '{"spec":{"suspend":true}}']);
  });

  it('may not read Secrets, and runners have no API token', async () => {
    for (const verb of ['get', 'list', 'watch']) {
      const { stdout } = await stand.node.ask(['auth', 'can-i', verb, 'secrets', '-A', '--as', account]);
      expect(stdout.trim(), verb).toBe('no');
    }
    const token = (await kubectl([...operator, 'create', 'token', 'pgbackup-operator'])).trim();
    const config = parse(readFileSync(stand.node.kubeconfig, 'utf8')) as { users: { name: string; user: object }[] };
    const asOperator = { ...config, users: config.users.map(({ name }) => ({ name, user: { token } })) };
    const path = join(stand.node.folder, 'operator.kubeconfig');
    writeFileSync(path, JSON.stringify(asOperator), { mode: 0o600 });
    const call = (...args: readonly string[]) => stand.node.ask(['--kubeconfig', path, ...args]);
    expect((await call('-n', 'shop', 'get', 'pgb', '-o', 'name')).stdout).toContain(
      'backup.pgbackup.dev/before-upgrade',
    );
    const refused = await call('-n', 'shop', 'get', 'secret', 'shop-db');
    expect(refused).toMatchObject({ exitCode: 1, stdout: '' });
    expect(refused.stderr).toContain(
      `(Forbidden): secrets "shop-db" is forbidden: User "${account}" cannot get resource`,
    );

    const pod = await kubectl(['-n', 'shop', 'get', 'pod', await podOf('shop', 'before-upgrade'), '-o', 'json']);
    expect(pod).toContain(testImage);
    expect(pod).not.toContain('serviceAccountToken');
    expect(pod).not.toContain('/var/run/secrets/kubernetes.io');
  });

  it('names what keeps runners from starting, and one that needs too much memory', async () => {
    const { server } = stand;
    const quick = { retries: 0 };
    // Runs that cannot start count as well, and all are of the same server.
    const argument = [
      { op: 'add', path: '/spec/template/spec/containers/0/args/-', value: '--max-runs-per-server=20' },
    ];
    await kubectl([...operator, 'patch', deployment, '--type=json', '-p', JSON.stringify(argument)]);
    await kubectl([...operator, 'rollout', 'status', deployment, '--timeout=120s']);
    await makeNamespace('trouble');
    for (const name of ['quota', 'limits']) await makeNamespace(name);
    await apply('quota', print(document('ResourceQuota', 'none', { spec: { hard: { pods: '0' } } }, 'v1')));
    await apply(
      'limits',
      print(
        document('LimitRange', 'small', { spec: { limits: [{ type: 'Container', max: { memory: '48Mi' } }] } }, 'v1'),
      ),
    );
    const small = { ...quick, resources: { requests: { memory: '64Mi' }, limits: { memory: '64Mi' } } };
    await apply('quota', print(policy('quota', quick), backup('quota')));
    await apply('limits', print(policy('limits', small), backup('limits')));
    const tiny = { ...quick, resources: { requests: { memory: '24Mi' }, limits: { memory: '24Mi' } } };
    await apply(
      'trouble',
      print(
        policy('secret', quick, { secret: 'later' }),
        policy('node', { ...quick, nodeSelector: { disk: 'none' } }),
        policy('memory', tiny),
        ...['secret', 'node', 'memory'].map((name) => backup(name)),
      ),
    );
    const [refused, limited, secret, unscheduled, memory] = await Promise.all([
      hearReason('quota', 'quota', ['PodRefused']),
      hearReason('limits', 'limits', ['PodRefused']),
      hearReason('trouble', 'secret', ['WaitingForSecret']),
      hearReason('trouble', 'node', ['PodUnschedulable']),
      hearReason('trouble', 'memory', ['OutOfMemory']),
    ]);
    expect(refused.message).toContain('exceeded quota: none');
    expect(limited.message).toContain('maximum memory usage per Container is 48Mi');
    expect(secret).toMatchObject({ status: 'Unknown', message: expect.stringContaining('later') as string });
    expect(unscheduled.message).toContain("didn't match Pod's node affinity/selector");
    expect(memory.status).toBe('False');
    // What was missing comes, and the run goes on.
    const login = { stringData: { username: server.user, password: server.password } };
    await apply('trouble', print(document('Secret', 'later', login, 'v1')));
    await kubectl(['-n', 'trouble', 'wait', '--for=condition=Succeeded', 'pgb/secret', '--timeout=150s']);
  });

  it('names a runner that was killed, and one that took too long', async () => {
    const { server, node } = stand;
    await server.sql('CREATE DATABASE locked');
    await server.sql('CREATE TABLE held (i int)', 'locked');
    const { port, user, password } = server;
    const holder = new Client({ host: node.address, port, user, password, database: 'locked' });
    await holder.connect();
    try {
      await holder.query('BEGIN; LOCK TABLE held IN ACCESS EXCLUSIVE MODE');
      const slow = { retries: 0, deadlineSeconds: 30 };
      await apply(
        'trouble',
        print(
          policy('killed', { retries: 0 }, { database: 'locked' }),
          policy('slow', slow, { database: 'locked' }),
          backup('killed'),
          backup('slow'),
        ),
      );
      await hearReason('trouble', 'killed', ['Running']);
      const uid = await kubectl([
        '-n',
        'trouble',
        'get',
        'pod',
        await podOf('trouble', 'killed'),
        '-o',
        'jsonpath={.metadata.uid}',
      ]);
      const runners = findProcesses(`pod${uid}`, '/app/dist/main.js');
      expect(runners).toHaveLength(1);
      for (const pid of runners) process.kill(pid, 'SIGKILL');
      expect(await hearReason('trouble', 'killed', ['RunnerKilled'])).toMatchObject({ status: 'False' });
      expect(await hearReason('trouble', 'slow', ['DeadlineExceeded'], 90)).toMatchObject({ status: 'False' });
    } finally {
      await holder.end();
    }
    const stored = [...findBackups(stand.bucket), ...findBackups(stand.sftpFolder)].map(({ id }) => id);
    expect(stored).not.toContain('killed');
    expect(stored).not.toContain('slow');
  });

  it('names an image that cannot be pulled', async () => {
    await kubectl([...operator, 'set', 'env', deployment, 'PGBACKUP_RUNNER_IMAGE=kube.test/absent:1']);
    await kubectl([...operator, 'rollout', 'status', deployment, '--timeout=120s']);
    await apply('trouble', print(policy('image', { retries: 0 }), backup('image')));
    const { message } = await hearReason('trouble', 'image', ['ImageUnavailable']);
    expect(message).toContain('kube.test/absent:1');
  });
});
