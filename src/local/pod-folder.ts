import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import type { KubeObject } from '../kube/client.ts';
import type { Container, DownwardItem, KeyToPath, Pod, Volume, VolumeMount } from './workload-types.ts';

/** Where the parts of a pod lie below its folder. */
export const podFiles = {
  root: 'run/pgbackup',
  log: 'log',
  terminationMessage: 'termination-message',
  temporary: 'tmp',
} as const;

/** One folder name per incarnation of a pod. */
export function podFolderName(namespace: string, name: string, uid: string): string {
  return `${namespace}_${name}_${uid}`;
}

/** A Secret that a pod cannot start without is not there. */
export interface Preparation {
  readonly missing: string | undefined;
}

type FindSecret = (name: string) => Promise<KubeObject | undefined>;

/** Why this pod cannot run as a process, or undefined when it can. */
export function findUnsupported(pod: Pod): string | undefined {
  const { containers, initContainers = [], volumes = [], restartPolicy = 'Always' } = pod.spec;
  const [container] = containers;
  if (container === undefined || containers.length !== 1 || initContainers.length > 0) {
    return 'without Kubernetes a pod has exactly one container';
  }
  if (restartPolicy !== 'Never') return 'without Kubernetes restartPolicy is Never';
  for (const mount of container.volumeMounts ?? []) {
    const volume = volumes.find(({ name }) => name === mount.name);
    if (volume === undefined) return `volume ${mount.name} is mounted but not in the pod`;
    if (mount.subPath !== undefined) return `volume ${mount.name}: subPath is not supported without Kubernetes`;
    if (!mount.mountPath.startsWith('/') || normalize(mount.mountPath) !== mount.mountPath) {
      return `volume ${mount.name}: mountPath ${mount.mountPath} is not a plain absolute path`;
    }
    const taken = [podFiles.log, podFiles.terminationMessage].find((file) => mount.mountPath.split('/')[1] === file);
    if (taken !== undefined) return `volume ${mount.name}: without Kubernetes nothing can be mounted at /${taken}`;
    if (volume.secret === undefined && volume.downwardAPI === undefined && volume.emptyDir === undefined) {
      const kind = Object.keys(volume).find((member) => member !== 'name') ?? 'nothing';
      return `volume ${mount.name}: there are no volumes of kind ${kind} without Kubernetes`;
    }
    const unsafe = itemsOf(volume).find(({ path }) => path.startsWith('/') || path.split('/').includes('..'));
    if (unsafe !== undefined) return `volume ${mount.name}: path ${unsafe.path} leads out of it`;
    const unknown = volume.downwardAPI?.items?.find((item) => readField(pod, item) === undefined);
    if (unknown !== undefined) return `volume ${mount.name}: ${unknown.path} is not a field that can be mounted`;
  }
  const indirect = container.env?.find(({ valueFrom }) => valueFrom !== undefined);
  return indirect && `environment variable ${indirect.name}: valueFrom is not supported without Kubernetes`;
}

/** Makes the folder of a pod with all that its container mounts, readable by its owner only; again later: brings Secrets up to date. */
export async function preparePodFolder(
  folder: string,
  pod: Pod,
  container: Container,
  findSecret: FindSecret,
): Promise<Preparation> {
  await makeFolder(folder);
  await makeFolder(join(folder, podFiles.root));
  await makeFolder(join(folder, podFiles.temporary));
  for (const mount of container.volumeMounts ?? []) {
    const volume = pod.spec.volumes?.find(({ name }) => name === mount.name);
    const at = mountFolder(folder, mount);
    await makeFolder(at);
    for (const item of volume?.downwardAPI?.items ?? []) {
      await writeWhole(join(at, item.path), readField(pod, item) ?? '');
    }
    if (volume?.secret === undefined) continue;
    const name = volume.secret.secretName ?? volume.secret.name ?? '';
    const secret = await findSecret(name);
    if (secret === undefined && volume.secret.optional !== true) return { missing: `secret "${name}" not found` };
    await writeSecret(at, secret, volume.secret.items);
  }
  return { missing: undefined };
}

/** Removes all but the log. */
export async function emptyPodFolder(folder: string): Promise<void> {
  const entries = await readdir(folder).catch(() => []);
  for (const entry of entries)
    if (entry !== podFiles.log) await rm(join(folder, entry), { recursive: true, force: true });
}

export function mountsSecret(pod: Pod, name: string): boolean {
  return (pod.spec.volumes ?? []).some(
    ({ secret }) => secret !== undefined && (secret.secretName ?? secret.name) === name,
  );
}

const mountFolder = (folder: string, mount: VolumeMount): string => join(folder, mount.mountPath);

const itemsOf = (volume: Volume): readonly { readonly path: string }[] => [
  ...(volume.secret?.items ?? []),
  ...(volume.downwardAPI?.items ?? []),
];

/** Keys as files; keys that the Secret lost go. A Secret that is gone leaves an empty folder. */
async function writeSecret(
  folder: string,
  secret: KubeObject | undefined,
  items: readonly KeyToPath[] | undefined,
): Promise<void> {
  const values = secretValues(secret);
  const wanted = new Map<string, Buffer>();
  for (const { key, path } of items ?? [...values.keys()].map((key) => ({ key, path: key }))) {
    const value = values.get(key);
    if (value !== undefined) wanted.set(path, value);
  }
  for (const [path, value] of wanted) await writeWhole(join(folder, path), value);
  for (const entry of await readdir(folder)) {
    if (![...wanted.keys()].some((path) => path.split('/')[0] === entry))
      await rm(join(folder, entry), { recursive: true });
  }
}

/** The bytes by key: `data` in base64, `stringData` (of an API server that does not turn it into data) as it is. */
function secretValues(secret: KubeObject | undefined): ReadonlyMap<string, Buffer> {
  const text = (member: string): readonly (readonly [string, string])[] =>
    Object.entries((secret?.[member] ?? {}) as Readonly<Record<string, string>>);
  return new Map([
    ...text('data').map(([key, value]) => [key, Buffer.from(value, 'base64')] as const),
    ...text('stringData').map(([key, value]) => [key, Buffer.from(value)] as const),
  ]);
}

/** What a fieldRef names: uid, name, namespace, one label or one annotation. */
function readField(pod: Pod, item: DownwardItem): string | undefined {
  const path = item.fieldRef?.fieldPath ?? '';
  const entry = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (entry !== null) {
    const [, member, key = ''] = entry;
    return (member === 'labels' ? pod.metadata.labels : pod.metadata.annotations)?.[key] ?? '';
  }
  if (path === 'metadata.uid') return pod.metadata.uid;
  if (path === 'metadata.name') return pod.metadata.name;
  if (path === 'metadata.namespace') return pod.metadata.namespace;
  return undefined;
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
}

/** Readers see the old or the new content, never half of it; what has not changed is left alone. */
async function writeWhole(path: string, content: string | Buffer): Promise<void> {
  const bytes = Buffer.from(content);
  const now = await readFile(path).catch(() => undefined);
  if (now?.equals(bytes)) return;
  await makeFolder(dirname(path));
  const partial = join(dirname(path), `..${Buffer.from(path).toString('base64url').slice(-16)}`);
  await writeFile(partial, bytes, { mode: 0o600 });
  await chmod(partial, 0o600);
  await rename(partial, path);
}
