import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { imageName } from '../../src/codegen/install.ts';
import { openKubeClient, type HttpKubeClient } from '../../src/kube/http-client.ts';
import { systemClock } from '../../src/support/clock.ts';
import { findBackups } from '../local/found-backups.ts';
import { startStand, type Stand } from '../runner/stand.ts';
import { findFreePort } from '../servers/free-port.ts';
import { startKubeApiserver, whyNoKubeApiserver, type KubeApiserver } from '../servers/kube-apiserver.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { makeControllerPod, readDeployment } from '../servers/make-controller-pod.ts';
import { startProcessNode, type ProcessNode } from '../servers/process-node.ts';
import { compileCache } from '../compile-cache.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const assets = process.env['KUBEBUILDER_ASSETS'] ?? '';
const missing = whyNoKubeApiserver(process.env['KUBEBUILDER_ASSETS'], 'kube-controller-manager', 'kubectl');
const [binDir = ''] = await listBinDirs(process.env['POSTGRES_BINDIRS']);

/**
 * What test/cluster tries with the image on a real node, with processes instead: install.yaml, the controller under the shipped
 * roles, a namespace that enforces the restricted level, and kubectl as a user types it.
 */
describe.skipIf(missing !== undefined)(`On a real API server, a user${missing ? ` (${missing})` : ''}`, () => {
  let stand: Stand;
  let server: Postgres;
  let cluster: KubeApiserver;
  let client: HttpKubeClient;
  let node: ProcessNode;
  let controller: ChildProcess;
  let controllerConfig: string;
  let folders: { readonly bucket: string; readonly sftp: string };

  const ask = (args: readonly string[], stdin = '', kubeconfig = cluster.kubeconfigPath) =>
    new Promise<{ readonly exitCode: number; readonly stdout: string; readonly stderr: string }>((resolve) => {
      const env = { PATH: '/usr/bin:/bin', HOME: stand.folder, KUBECONFIG: kubeconfig };
      const child = execFile(join(assets, 'kubectl'), [...args], { env }, (error, stdout, stderr) => {
        resolve({ exitCode: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
      });
      child.stdin?.end(stdin);
    });
  const kubectl = async (args: readonly string[], stdin?: string): Promise<string> => {
    const { exitCode, stdout, stderr } = await ask(args, stdin);
    if (exitCode !== 0) throw new Error(`kubectl ${args.join(' ')} ended with ${exitCode}: ${stderr}${stdout}`);
    return stdout;
  };
  const shop = (...args: readonly string[]): Promise<string> => kubectl(['-n', 'shop', ...args]);
  const apply = (...documents: readonly object[]): Promise<string> =>
    kubectl(['-n', 'shop', 'apply', '-f', '-'], documents.map((each) => JSON.stringify(each)).join('\n---\n'));
  const until = async <T>(what: string, look: () => Promise<T | undefined>, seconds = 90): Promise<T> => {
    const giveUp = performance.now() + seconds * 1000;
    for (;;) {
      const found = await look();
      if (found !== undefined) return found;
      if (performance.now() > giveUp) throw new Error(`never happened: ${what}`);
      await delay(200);
    }
  };
  const podOf = (backup: string): Promise<string> =>
    shop('get', 'pods', '-l', `pgbackup.dev/backup=${backup}`, '-o', 'jsonpath={.items[*].metadata.name}');

  beforeAll(async () => {
    stand = await startStand();
    server = await startPostgres({ binDir, dir: join(stand.folder, 'pg') });
    await server.sql('CREATE DATABASE shop');
    await server.sql(
      'CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS note FROM generate_series(1, 20000) i',
      'shop',
    );
    await stand.s3.createBucket('backups');
    folders = { bucket: join(stand.folder, 's3/backups'), sftp: join(stand.folder, 'sftp') };
    await mkdir(folders.sftp);

    cluster = await startKubeApiserver(assets);
    const install = readFileSync(join(root, 'manifests/install.yaml'), 'utf8');
    const ours = install.replaceAll(imageName, 'kube.test/pgbackup');
    await kubectl(['apply', '-f', '-'], ours);
    const pod = makeControllerPod(readDeployment(ours), 'controller');
    await kubectl(['apply', '-f', '-'], JSON.stringify(pod));
    await kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
    await cluster.startControllers('job-controller', 'garbage-collector-controller', 'serviceaccount-controller');
    client = await openKubeClient({
      source: { kind: 'text', text: cluster.kubeconfig },
      clock: systemClock,
      userAgent: 'test',
    });
    node = await startProcessNode(client, join(stand.folder, 'node'), binDir);
    await kubectl(['create', 'namespace', 'shop']);
    await kubectl(['label', 'namespace', 'shop', 'pod-security.kubernetes.io/enforce=restricted']);
    await until('the default service account', async () => {
      return (await ask(['-n', 'shop', 'get', 'serviceaccount', 'default'])).exitCode === 0 ? true : undefined;
    });

    // The token of the shipped account, and nothing else.
    const token = (await kubectl(['-n', 'pgbackup-system', 'create', 'token', 'pgbackup-operator'])).trim();
    const config = JSON.parse(cluster.kubeconfig) as { readonly users: readonly { readonly name: string }[] };
    const users = config.users.map(({ name }) => ({ name, user: { token } }));
    controllerConfig = join(stand.folder, 'controller.kubeconfig');
    await writeFile(controllerConfig, JSON.stringify({ ...config, users }), { mode: 0o600 });
    const port = await findFreePort();
    const args = ['--kubeconfig', controllerConfig, '--metrics-port', String(port)];
    const lease = ['--leader-election', '--lease-namespace', 'pgbackup-system'];
    controller = spawn(
      process.execPath,
      [join(root, 'src/main.ts'), 'controller', ...args, '--runner-image', 'kube.test/pgbackup:1', ...lease],
      {
        env: { ...compileCache, PATH: '/usr/bin:/bin', POD_NAME: 'controller-1' },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    await until('the controller is ready', async () => {
      if (controller.exitCode !== null) throw new Error(`the controller ended with ${controller.exitCode}`);
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
      return answer?.ok === true ? true : undefined;
    });
  });
  afterAll(async () => {
    if (controller !== undefined && controller.exitCode === null) {
      const gone = once(controller, 'exit');
      controller.kill('SIGTERM');
      await gone;
    }
    await node?.stop();
    client?.close();
    await cluster?.stop();
    await server?.stop();
    await stand?.stop();
  });

  const document = (kind: string, name: string, rest: object, apiVersion = 'pgbackup.dev/v1beta1'): object => ({
    apiVersion,
    kind,
    metadata: { name },
    ...rest,
  });
  const policy = (name: string, more: object = {}): object =>
    document('BackupPolicy', name, {
      spec: {
        source: {
          postgres: {
            host: server.host,
            port: server.port,
            tls: { mode: 'disable' },
            credentials: { secretName: 'shop-db' },
            databases: { names: ['shop'] },
          },
        },
        destinations: [{ location: 'bucket' }, { location: 'sftp' }],
        ...more,
      },
    });
  const backup = (name: string, of: string): object => document('Backup', name, { spec: { policy: of } });

  it('backs up by hand to S3 and SFTP, waits for it, and reads its log', async () => {
    const { s3, sshd } = stand;
    const secret = (name: string, stringData: object): object => document('Secret', name, { stringData }, 'v1');
    const at = { bucket: 'backups', endpoint: s3.endpoint, region: 'us-east-1', forcePathStyle: true };
    const login = { host: sshd.host, port: sshd.port, hostKeys: sshd.hostKeys };
    await apply(
      secret('shop-db', { username: server.user, password: server.password }),
      secret('bucket', { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey }),
      secret('sftp', { username: sshd.username, privateKey: sshd.privateKey }),
      document('BackupLocation', 'bucket', { spec: { s3: { ...at, credentials: { secretName: 'bucket' } } } }),
      document('BackupLocation', 'sftp', {
        spec: { sftp: { ...login, path: folders.sftp, credentials: { secretName: 'sftp' } } },
      }),
      policy('nightly', { schedule: '* * * * *' }),
      backup('by-hand', 'nightly'),
    );
    await shop('wait', '--for=condition=Succeeded', 'pgb/by-hand', '--timeout=90s');
    const row = await shop('get', 'pgb', 'by-hand', '--no-headers');
    expect(row).toMatch(/^by-hand +nightly +Succeeded +Succeeded +[\d.]+ k?B +2\/2 /);
    const stored = expect.objectContaining({ id: 'by-hand', policy: 'nightly', databases: ['shop'] }) as unknown;
    for (const folder of [folders.bucket, folders.sftp]) expect(findBackups(folder)).toContainEqual(stored);
    expect(await shop('logs', await podOf('by-hand'))).toContain('"verdict":"Succeeded"');
    const locations = await shop('get', 'pgbl', '--no-headers');
    expect(locations.match(/ True +ProbePassed /g)).toHaveLength(2);
  });

  it('does what the README shows: waits for a backup, finds it, deletes the object, and gets it back while its data is there', async () => {
    const kubeconfig = join(stand.folder, 'readme.kubeconfig');
    await writeFile(kubeconfig, cluster.kubeconfig.replace('"namespace":"default"', '"namespace":"shop"'), {
      mode: 0o600,
    });
    const uid = [
      '-n',
      'shop',
      'get',
      'pgb',
      'before-upgrade',
      '-o',
      'jsonpath={.metadata.uid} {.spec.import.location}',
    ];
    const seen: string[] = [];
    for (const line of readCommands('kubectl create -f manifests/examples/backup-manual.yaml')) {
      const env = { PATH: `${assets}:/usr/bin:/bin`, HOME: stand.folder, KUBECONFIG: kubeconfig };
      const { stdout } = await run('/bin/bash', ['-c', line], { cwd: root, env });
      if (line.startsWith('kubectl get')) expect(stdout).toMatch(/^before-upgrade +nightly +Succeeded /m);
      seen.push(await kubectl(uid).catch(() => 'gone'));
    }
    const [first = ''] = seen;
    expect(first).toMatch(/^[0-9a-f-]{36} $/);
    expect(seen.slice(0, -3)).toEqual(seen.slice(0, -3).map(() => first));
    expect(seen.at(-3)).toBe('gone');
    expect(seen.at(-1)).toMatch(/^[0-9a-f-]{36} (bucket|sftp)$/);
    expect(seen.at(-1)).not.toContain(first.trim());
    await shop('wait', '--for=condition=Succeeded', 'pgb/before-upgrade', '--timeout=30s');
  });

  it('sees the schedule run', async () => {
    const selector = ['-l', 'pgbackup.dev/policy=nightly', '-o', 'jsonpath={.items[*].metadata.name}'];
    const scheduled = await until('a scheduled backup', async () =>
      (await shop('get', 'pgb', ...selector)).split(' ').find((name) => name.startsWith('nightly-')),
    );
    await shop('wait', '--for=condition=Succeeded', `pgb/${scheduled}`, '--timeout=60s');
    for (const folder of [folders.bucket, folders.sftp]) {
      expect(findBackups(folder)).toContainEqual(
        expect.objectContaining({ id: scheduled, slot: expect.any(String) as unknown, databases: ['shop'] }),
      );
    }
    expect(await shop('get', 'pgbp', 'nightly', '--no-headers')).toMatch(
      /^nightly +\* \* \* \* \* +True +True +LastRunSucceeded/,
    );
    expect(await shop('describe', 'pgb', scheduled)).toMatch(/Events:[^]*JobCreated[^]*pgbackup-operator/);
    await shop('patch', 'pgbp', 'nightly', '--type=merge', '-p', '{"spec":{"suspend":true}}');
  });

  it('finds that the controller may read no Secret', async () => {
    const refused = await ask(['-n', 'shop', 'get', 'secret', 'shop-db'], '', controllerConfig);
    expect(refused).toMatchObject({ exitCode: 1, stdout: '' });
    expect(refused.stderr).toContain('(Forbidden): secrets "shop-db" is forbidden');
    expect((await ask(['-n', 'shop', 'get', 'pgb', '-o', 'name'], '', controllerConfig)).stdout).toContain(
      'backup.pgbackup.dev/before-upgrade',
    );
  });
});

/** The commands of a block of the README, from one of them on. */
function readCommands(from: string): readonly string[] {
  const blocks = readFileSync(join(root, 'README.md'), 'utf8').split('```');
  const lines = blocks.find((block) => block.startsWith('sh\n') && block.includes(`\n${from}`))?.split('\n') ?? [];
  const first = lines.findIndex((line) => line.startsWith(from));
  if (first < 0) throw new Error(`the README does not show ${from}`);
  return lines.slice(first).filter((line) => line !== '');
}
