import type { Kind } from '../src/api/kind.ts';
import { apiVersion, backupLocationKind, backupPolicyKind } from '../src/api/kinds.ts';
import { resources } from '../src/controller/resources.ts';
import type { InspectVerdict } from '../src/domain/report.ts';
import type { KubeObject, ResourceType } from '../src/kube/client.ts';
import type { HttpKubeClient } from '../src/kube/http-client.ts';
import { inParallel } from './in-parallel.ts';
import { waitFor } from './wait-for.ts';

export const cronJobs: ResourceType = {
  group: 'batch',
  version: 'v1',
  kind: 'CronJob',
  plural: 'cronjobs',
  namespaced: true,
};

const never = new AbortController().signal;
const writers = 16;
const nameOf = (index: number): string => `nightly-${String(index).padStart(4, '0')}`;

/** A schedule that is due in this one minute, in UTC, and then not for a year. */
export function onlyAt(slotMs: number): string {
  const at = new Date(slotMs);
  return `${at.getUTCMinutes()} ${at.getUTCHours()} ${at.getUTCDate()} ${at.getUTCMonth() + 1} *`;
}

/** So many CronJobs of Kubernetes, with pods as plain as they come. */
export async function createCronJobs(client: HttpKubeClient, namespace: string, count: number, slotMs: number) {
  const container = { name: 'runner', image: 'pgbackup:bench', args: ['runner'] };
  const pod = { restartPolicy: 'Never', automountServiceAccountToken: false, containers: [container] };
  const spec = {
    schedule: onlyAt(slotMs),
    timeZone: 'Etc/UTC',
    concurrencyPolicy: 'Forbid',
    jobTemplate: { spec: { backoffLimit: 2, template: { spec: pod } } },
  };
  await inParallel(listNames(count), writers, async (name) => {
    const object = { apiVersion: 'batch/v1', kind: 'CronJob', metadata: { name, namespace }, spec };
    await client.create(cronJobs, object, never);
  });
}

/** A location whose inspection has passed, and so many policies with a server each; resolves when all wait for the slot. */
export async function createPolicies(client: HttpKubeClient, namespace: string, count: number, slotMs: number) {
  const locationSpec = { directory: { path: '/backups', claimName: 'backups' } };
  await client.create(resources.location, ours(backupLocationKind, namespace, 'near', locationSpec), never);
  await passInspection(client, namespace);
  await inParallel(listNames(count), writers, async (name) => {
    const spec = {
      source: {
        postgres: { host: `${name}.example.com`, credentials: { secretName: 'postgres' }, databases: { all: true } },
      },
      schedule: onlyAt(slotMs),
      timeZone: 'Etc/UTC',
      destinations: [{ location: 'near' }],
    };
    await client.create(resources.policy, ours(backupPolicyKind, namespace, name, spec), never);
  });
  const isWaiting = ({ status }: KubeObject): boolean => {
    const next = (status as { readonly nextScheduleTime?: string } | undefined)?.nextScheduleTime;
    return next !== undefined && Date.parse(next) === slotMs;
  };
  await waitFor('all policies wait for their slot', async () => {
    return (await listAll(client, resources.policy, namespace)).every(isWaiting);
  });
}

/** There is no node: says what a kubelet would of an inspection that went well. */
async function passInspection(client: HttpKubeClient, namespace: string): Promise<void> {
  const verdict: InspectVerdict = {
    v: 1,
    kind: 'inspect',
    verdict: 'Succeeded',
    startedAt: new Date().toISOString(),
    completedAt: new Date().toISOString(),
    latencies: { putMilliseconds: 1, getMilliseconds: 1, listMilliseconds: 1, deleteMilliseconds: 1 },
    backups: 0,
    storedBytes: 0,
    damagedManifests: 0,
    resultLines: 0,
  };
  const finishedAt = `${new Date().toISOString().slice(0, 19)}Z`;
  const terminated = {
    exitCode: 0,
    reason: 'Completed',
    startedAt: finishedAt,
    finishedAt,
    message: JSON.stringify(verdict),
  };
  const ended = {
    name: 'runner',
    image: 'pgbackup:bench',
    imageID: '',
    ready: false,
    restartCount: 0,
    state: { terminated },
  };
  await waitFor('the location is available', async () => {
    for (const pod of await listAll(client, resources.pod, namespace)) {
      if ((pod.status as { readonly phase?: string }).phase !== 'Pending') continue;
      const status = { ...(pod.status as object), phase: 'Succeeded', containerStatuses: [ended] };
      await client.putStatus(resources.pod, { ...pod, status }, never);
    }
    const location = await client.get(resources.location, namespace, 'near', never);
    return (location?.status as { readonly phase?: string } | undefined)?.phase === 'Available';
  });
}

/** Everything of a round goes, so that the next one begins like it. */
export async function deleteAll(client: HttpKubeClient, namespace: string): Promise<void> {
  const { policy, backup, job, pod, location } = resources;
  for (const type of [policy, cronJobs, location, backup, job, pod]) {
    await waitFor(`the ${type.plural} are gone`, async () => {
      const left = await listAll(client, type, namespace);
      await inParallel(left, writers, async ({ metadata }) => {
        if (metadata.deletionTimestamp !== undefined && type !== pod) return;
        await client.delete(type, namespace, metadata.name ?? '', { gracePeriodSeconds: 0 }, never);
      });
      return left.length === 0;
    });
  }
}

export async function listAll(
  client: HttpKubeClient,
  type: ResourceType,
  namespace: string,
): Promise<readonly KubeObject[]> {
  const found: KubeObject[] = [];
  let token: string | undefined;
  do {
    const page = await client.list(type, { namespace, limit: 500, continue: token }, never);
    found.push(...page.items);
    token = page.continue;
  } while (token !== undefined);
  return found;
}

function listNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => nameOf(index));
}

function ours({ kind }: Kind, namespace: string, name: string, spec: object): KubeObject {
  return { apiVersion, kind, metadata: { name, namespace }, spec };
}
