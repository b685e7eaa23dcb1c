import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { imageName } from '../../src/codegen/install.ts';
import { createBackupJob } from '../../src/controller/backup/job.ts';
import { createInspectJob } from '../../src/controller/location/job.ts';
import type { RunnerTemplate } from '../../src/controller/mode.ts';
import { createCleanupJob, createRestoreJob } from '../../src/controller/restore/job.ts';
import { resources } from '../../src/controller/resources.ts';
import { isKubeError, type KubeObject } from '../../src/kube/client.ts';
import { openKubeClient, type HttpKubeClient } from '../../src/kube/http-client.ts';
import { systemClock } from '../../src/support/clock.ts';
import { buildBackup, buildLocation, buildPolicy, buildRestore } from '../builders/objects.ts';
import { startKubeApiserver, whyNoKubeApiserver, type KubeApiserver } from '../servers/kube-apiserver.ts';
import { makeControllerPod } from '../servers/make-controller-pod.ts';
import { runKubectl } from '../servers/run-kubectl.ts';
import { testMode } from './fake-cluster.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const missing = whyNoKubeApiserver(assets, 'kubectl');
const { signal } = new AbortController();
const namespace = 'shop';
const repository = 'registry.example.com:5000/team/pgbackup';
const account = 'system:serviceaccount:pgbackup-system:pgbackup-operator';
const install = readFileSync(new URL('../../manifests/install.yaml', import.meta.url), 'utf8');

type Template = Partial<RunnerTemplate>;
const own: RunnerTemplate = { image: `${repository}:1.0` };

/** Everything that a user may say of the pods of runs. */
const runner = {
  serviceAccountName: 'identity',
  resources: { requests: { cpu: '100m' }, limits: { memory: '512Mi' } },
  nodeSelector: { disk: 'ssd' },
  tolerations: [{ key: 'backups', operator: 'Exists' }],
  priorityClassName: 'backups',
  podLabels: { team: 'data' },
  podAnnotations: { 'example.com/note': 'x' },
  proxy: { httpProxy: 'http://proxy:1', httpsProxy: 'http://proxy:1', noProxy: 'localhost' },
} as const;
const key = { s3: { bucket: 'backups', region: 'eu-central-1', credentials: { secretName: 'bucket-key' } } };

/** The Jobs that the controller makes, of every kind and with every option. */
function makeJobs(template: Template = {}): Readonly<Record<string, KubeObject>> {
  const mode = { ...testMode, runner: { ...own, ...template } };
  const near = buildLocation({ spec: { ...key, runner } });
  const volume = buildLocation({ name: 'volume', spec: { directory: { path: 'b', claimName: 'backups' } } });
  const copy = { location: 'near', outcome: 'Stored', manifestKey: 'key', manifestSha256: 'a'.repeat(64) } as const;
  const source = { state: 'found', backup: buildBackup(), copies: [{ copy, location: near }] } as const;
  const scratch = { size: '10Gi', storageClassName: 'fast' };
  const plain = { runner: { securityContext: {} } };
  const places = [near, volume].map((location) => ({ location, required: true }));
  const inspect = (location: typeof near) =>
    createInspectJob(location, mode, {
      policies: [],
      unfinished: [],
      backupNamed: () => undefined,
      heldAfter: () => [],
    });
  const backup = (spec: object) => createBackupJob(buildBackup(), buildPolicy({ spec }), places, mode, Date.now());
  const restore = (spec: object) => createRestoreJob(buildRestore({ spec }), source, mode);
  const made = {
    backup: backup({ runner }),
    'backup with ids of the platform': backup(plain),
    inspection: inspect(near),
    'inspection of a volume': inspect(volume),
    restore: restore({ runner, scratch }),
    'restore with ids of the platform': restore(plain),
    cleanup: createCleanupJob(buildRestore({ spec: { runner } }), mode),
  };
  return Object.fromEntries(Object.entries(made).map(([name, { object }]) => [name, object]));
}

interface PodTemplate {
  readonly template: { readonly metadata: object; readonly spec: { readonly containers: readonly object[] } };
}
interface Parts {
  readonly metadata: object;
  readonly spec: { template: { spec: { containers: object[]; volumes: object[] } } };
}
/** A runner's Job, changed. */
function change(edit: (pod: Parts['spec']['template']['spec'], runner: object) => object, metadata: object = {}) {
  const job = structuredClone(makeJobs()['backup']) as unknown as Parts;
  const pod = job.spec.template.spec;
  job.spec.template.spec = { ...pod, ...edit(pod, pod.containers[0] ?? {}) };
  return { ...job, metadata: { ...job.metadata, ...metadata } } as unknown as KubeObject;
}
const inContainer = (more: object) => change((_, container) => ({ containers: [{ ...container, ...more }] }));
const withVolume = (volume: object, mountPath = '/run/pgbackup/x') =>
  change((pod, container) => {
    const { volumeMounts } = container as { readonly volumeMounts: readonly object[] };
    return {
      volumes: [...pod.volumes, { name: 'more', ...volume }],
      containers: [{ ...container, volumeMounts: [...volumeMounts, { name: 'more', mountPath }] }],
    };
  });
const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: 'x', controller: true };
const privileged = { allowPrivilegeEscalation: true, privileged: true };
const secret = { secret: { secretName: 'any' } };

const foreign: Readonly<Record<string, readonly [KubeObject, RegExp]>> = {
  'another image': [inContainer({ image: 'busybox' }), /not of busybox: name it with --runner-image=IMAGE/],
  'an image that begins alike': [inContainer({ image: `${repository}-x:1.0` }), /may only make Jobs of the image/],
  'an image below it': [inContainer({ image: `${repository}/x` }), /may only make Jobs of the image/],
  'the same name elsewhere': [inContainer({ image: 'elsewhere/team/pgbackup:1.0' }), /may only make Jobs of the image/],
  'no owner': [change(() => ({}), { ownerReferences: [] }), /that an object of pgbackup owns/],
  'an owner of another kind': [change(() => ({}), { ownerReferences: [owner] }), /that an object of pgbackup owns/],
  'a command': [inContainer({ command: ['sh'] }), /that runs the runner/],
  'other arguments': [inContainer({ args: ['local', '-'] }), /that runs the runner/],
  'a hook': [inContainer({ lifecycle: { preStop: { exec: { command: ['sh'] } } } }), /that runs the runner/],
  'a probe that is a program': [inContainer({ livenessProbe: { exec: { command: ['sh'] } } }), /that runs the runner/],
  'a second container': [
    change((pod) => ({ containers: [...pod.containers, { name: 'more', image: own.image }] })),
    /of one container/,
  ],
  'a container before it': [
    change((_, container) => ({ initContainers: [{ ...container, name: 'first' }] })),
    /nothing of its node/,
  ],
  'options of node': [
    inContainer({ env: [{ name: 'NODE_OPTIONS', value: '--import=data:text/javascript,1' }] }),
    /own environment/,
  ],
  'a library': [inContainer({ env: [{ name: 'LD_PRELOAD', value: '/run/pgbackup/x/a.so' }] }), /own environment/],
  'a Secret as environment': [inContainer({ envFrom: [{ secretRef: { name: 'any' } }] }), /that runs the runner/],
  'a Secret over the program': [withVolume(secret, '/app/dist'), /own environment and folders/],
  'a Secret over the program, by a detour': [
    withVolume(secret, '/run/pgbackup/../../app/dist'),
    /and folders|mountPath/,
  ],
  'a folder of the node': [withVolume({ hostPath: { path: '/' } }), /volumes of the kinds/],
  'a token of the API': [
    withVolume({ projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } }),
    /volumes of the kinds/,
  ],
  'the token of its account': [change(() => ({ automountServiceAccountToken: true })), /no API token/],
  'the network of the node': [change(() => ({ hostNetwork: true })), /nothing of its node/],
  'processes of the node': [change(() => ({ hostPID: true })), /nothing of its node/],
  'a node of its choice': [change(() => ({ nodeName: 'control-plane' })), /nothing of its node/],
  root: [change(() => ({ securityContext: { runAsUser: 0 } })), /no root/],
  privileges: [inContainer({ securityContext: privileged }), /without any privilege/],
  'no word of privileges': [inContainer({ securityContext: {} }), /without any privilege/],
};

describe.skipIf(missing !== undefined)(`The right to create Jobs${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let server: KubeApiserver;
  let controller: HttpKubeClient;
  let admin: HttpKubeClient;
  let folder: string;
  let count = 0;

  const kubectl = (args: readonly string[], stdin = '') => runKubectl(assets ?? '', server, args, stdin);
  const inOperator = ['-n', 'pgbackup-system'];
  /** What the server says to such a Job; undefined: it is taken. */
  const refusal = async (job: KubeObject, client = controller): Promise<string | undefined> => {
    count += 1;
    try {
      const metadata = { ...job.metadata, name: `run-${count}`, namespace };
      await client.create(resources.job, { ...job, metadata }, signal);
      return undefined;
    } catch (error) {
      if (!isKubeError(error)) throw error;
      return error.message;
    }
  };
  /** Pods of the Deployment, with other members of its container. */
  const addPods = async (more: object, names: readonly string[], labels?: object): Promise<void> => {
    const deployment = await kubectl([...inOperator, 'get', 'deployment', 'pgbackup-operator', '-o', 'json']);
    const { spec, ...rest } = JSON.parse(deployment) as { readonly spec: PodTemplate };
    const [container] = spec.template.spec.containers;
    const { metadata } = spec.template;
    const template = {
      metadata: labels === undefined ? metadata : { ...metadata, labels },
      spec: { ...spec.template.spec, containers: [{ ...container, ...more }] },
    };
    const pods = names.map((name) => makeControllerPod({ ...rest, spec: { template } }, name));
    await kubectl(['create', '-f', '-'], pods.map((pod) => JSON.stringify(pod)).join('\n---\n'));
  };
  const replacePods = async (more: object, names: readonly string[] = ['a', 'b']): Promise<void> => {
    await kubectl([...inOperator, 'delete', 'pods', '--all']);
    await addPods(more, names);
  };
  /** With the token that is mounted into this pod. */
  const asPod = async (name: string): Promise<HttpKubeClient> => {
    const bound = ['--bound-object-kind=Pod', `--bound-object-name=${name}`];
    const token = await kubectl([...inOperator, 'create', 'token', 'pgbackup-operator', ...bound]);
    const config = JSON.parse(server.kubeconfigOf('admin')) as object;
    const text = JSON.stringify({ ...config, users: [{ name: 'admin', user: { token: token.trim() } }] });
    return openKubeClient({ source: { kind: 'text', text }, clock: systemClock, userAgent: 'test' });
  };
  const eventually = (work: () => Promise<void>) => vi.waitFor(work, { timeout: 60_000, interval: 200 });

  beforeAll(async () => {
    server = await startKubeApiserver(assets ?? '', { users: [account] });
    const open = (text: string) =>
      openKubeClient({ source: { kind: 'text', text }, clock: systemClock, userAgent: 'test' });
    admin = await open(server.kubeconfig);
    controller = await open(server.kubeconfigOf(account));
    await kubectl(['create', 'namespace', namespace]);
    // As whoever has a registry of their own installs it.
    folder = join(server.folder, 'kustomize');
    await mkdir(folder);
    await writeFile(join(folder, 'install.yaml'), install);
    const images = [{ name: imageName, newName: repository, newTag: '1.0' }];
    await writeFile(join(folder, 'kustomization.yaml'), JSON.stringify({ resources: ['install.yaml'], images }));
    await kubectl(['apply', '-k', folder]);
    await replacePods({});
    // The server reads new policies when it comes to it.
    await eventually(async () => expect(await refusal(inContainer({ image: 'busybox' }))).toContain('busybox'));
    await eventually(async () => expect(await refusal(inContainer({}))).toBeUndefined());
  });
  afterAll(async () => {
    controller?.close();
    admin?.close();
    await server?.stop();
  });

  it('is enough for every Job that the controller makes', async () => {
    for (const template of [
      {},
      { imagePullSecrets: ['pull'], imagePullPolicy: 'Always', securityContext: {} } as const,
    ])
      for (const [name, job] of Object.entries(makeJobs(template))) expect(await refusal(job), name).toBeUndefined();
  });

  it.each(Object.entries(foreign))('is none to %s', async (_, [job, words]) => {
    expect(await refusal(job)).toMatch(words);
    // Nor is what is refused here refused by anything else: others may do so.
    if (!words.source.includes('mountPath')) expect(await refusal(job, admin)).toBeUndefined();
  });

  it('holds for the image in any version, so that an upgrade stops nothing', async () => {
    for (const suffix of ['', ':2.0', `@sha256:${'a'.repeat(64)}`, `:2.0@sha256:${'a'.repeat(64)}`])
      expect(await refusal(inContainer({ image: `${repository}${suffix}` })), suffix).toBeUndefined();
  });

  it('follows the image of the controller’s pods, and the one that is named for runners', async () => {
    const elsewhere = inContainer({ image: 'elsewhere/pgbackup:3' });
    expect(await refusal(elsewhere)).toMatch(/not of elsewhere/);
    await replacePods({ args: ['controller', '--runner-image=elsewhere/pgbackup:3'] });
    await eventually(async () => expect(await refusal(elsewhere)).toBeUndefined());
    await replacePods({ args: ['controller'] });
    await eventually(async () => expect(await refusal(elsewhere)).toMatch(/not of elsewhere/));
    await replacePods({ env: [{ name: 'PGBACKUP_RUNNER_IMAGE', value: 'elsewhere/pgbackup:3' }] });
    await eventually(async () => expect(await refusal(elsewhere)).toBeUndefined());
    await replacePods({ image: 'third/pgbackup:4' });
    await eventually(async () => expect(await refusal(inContainer({ image: 'third/pgbackup:4' }))).toBeUndefined());
    expect(await refusal(inContainer({}))).toMatch(/may only make Jobs of the image third\/pgbackup:4/);
    await replacePods({});
  });

  it('goes on for the pods of both images while one follows the other, each with its own', async () => {
    await replacePods({}, ['pgbackup-operator-old-a', 'pgbackup-operator-old-b']);
    const old = await asPod('pgbackup-operator-old-a');
    const [oldImage, newImage] = [inContainer({}), inContainer({ image: 'third/pgbackup:4' })];
    expect(await refusal(oldImage, old)).toBeUndefined();
    await addPods({ image: 'third/pgbackup:4' }, ['pgbackup-operator-new-a']);
    const young = await asPod('pgbackup-operator-new-a');
    await eventually(async () => expect(await refusal(newImage, young)).toBeUndefined());
    expect(await refusal(oldImage, old)).toBeUndefined();
    // Each its own only, and who is no pod of them neither.
    expect(await refusal(newImage, old)).toMatch(/may only make Jobs of the image/);
    expect(await refusal(oldImage, young)).toMatch(/may only make Jobs of the image third/);
    expect(await refusal(oldImage)).toMatch(/may only make Jobs of the image third/);
    expect(await refusal(newImage)).toMatch(/may only make Jobs of the image/);
    await addPods({}, ['stranger'], {});
    const stranger = await asPod('stranger');
    expect(await refusal(oldImage, stranger)).toMatch(/may only make Jobs of the image third/);
    expect(await refusal(inContainer({ image: 'busybox' }), stranger)).toMatch(/may only make Jobs of the image/);
    for (const client of [old, young, stranger]) client.close();
    await replacePods({});
  });

  it('is not lost when the rule is deleted and made again', async () => {
    const rules = 'validatingadmissionpolicies,validatingadmissionpolicybindings';
    const busybox = inContainer({ image: 'busybox' });
    await kubectl(['delete', rules, 'pgbackup-operator-jobs']);
    await eventually(async () => expect(await refusal(busybox)).toBeUndefined());
    // Only now has the server forgotten the rule; other pods come while nobody asks for them.
    await replacePods({ image: 'third/pgbackup:4' });
    await kubectl(['apply', '-k', folder]);
    await eventually(async () => expect(await refusal(busybox)).toMatch(/image third\/pgbackup:4/));
    expect(await refusal(inContainer({ image: 'third/pgbackup:5' }))).toBeUndefined();
  });

  it('is none while there is no controller', async () => {
    await kubectl([...inOperator, 'delete', 'pods', '--all']);
    await eventually(async () => expect(await refusal(inContainer({}))).toMatch(/no params found/));
  });
});
