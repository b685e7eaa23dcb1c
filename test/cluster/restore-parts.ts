import type { ClusterUser, KubeObjectSeen } from './cluster-user.ts';

/** The target of a RestoreRequest, with the credentials that each namespace has. */
export function restoreTarget(where: { readonly host: string; readonly port: number }, database: string): object {
  return { postgres: { ...where, tls: { mode: 'disable' }, credentials: { secretName: 'shop-db' } }, database };
}

/** Which slot a policy made it for, as its name says (domain/names.ts). NaN: none. */
export function slotOfRequest({ metadata }: KubeObjectSeen): number {
  const [, year, month, day, hours, minutes] = /-(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)00z$/.exec(metadata.name) ?? [];
  return Date.parse(`${year}-${month}-${day}T${hours}:${minutes}:00Z`);
}

export interface WorkingTime {
  readonly name: string;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** From when to when containers of restores worked, as the node says, and not we; in whole seconds. */
export async function listWorkingTimes(user: ClusterUser, namespace: string): Promise<readonly WorkingTime[]> {
  const pods = await user.list(namespace, 'pods', 'pgbackup.dev/restore');
  return pods.flatMap(({ metadata: { name }, status }) => {
    const states = (status?.['containerStatuses'] ?? []) as readonly ContainerState[];
    return states.flatMap(({ state: { terminated } }) =>
      terminated === undefined
        ? []
        : [{ name, startedAt: Date.parse(terminated.startedAt), endedAt: Date.parse(terminated.finishedAt) }],
    );
  });
}

/** The same, as its status says. */
export function readWorkingTime({ metadata, status }: KubeObjectSeen): WorkingTime {
  const [startedAt, endedAt] = [status?.['startedAt'], status?.['completedAt']].map((time) => Date.parse(String(time)));
  if (!startedAt || !endedAt) throw new Error(`${metadata.name} does not tell when it worked`);
  return { name: metadata.name, startedAt, endedAt };
}

/** Pairs that worked at the same time. */
export function findOverlaps(times: readonly WorkingTime[]): readonly string[] {
  const sorted = times.toSorted((a, b) => a.startedAt - b.startedAt || a.endedAt - b.endedAt);
  return sorted.flatMap((time, index) => {
    const before = sorted[index - 1];
    return before !== undefined && time.startedAt < before.endedAt ? [`${before.name}, ${time.name}`] : [];
  });
}

interface ContainerState {
  readonly state: { readonly terminated?: { readonly startedAt: string; readonly finishedAt: string } };
}

/** RestoreRequests of a policy, by their slots. */
export async function listRequests(
  user: ClusterUser,
  namespace: string,
  policy: string,
): Promise<readonly KubeObjectSeen[]> {
  const found = await user.list(namespace, 'pgrr', `pgbackup.dev/restore-policy=${policy}`);
  return found.toSorted((a, b) => slotOfRequest(a) - slotOfRequest(b));
}

export async function suspendRestores(user: ClusterUser, namespace: string, policy: string): Promise<void> {
  await user.kubectl(['-n', namespace, 'patch', 'pgrp', policy, '--type=merge', '-p', '{"spec":{"suspend":true}}']);
}

/** The file that was chosen. */
export const keyOf = ({ status }: KubeObjectSeen): string | undefined =>
  (status?.['source'] as { readonly key?: string } | undefined)?.key;
/** Of Succeeded. */
export const reasonOf = ({ status }: KubeObjectSeen): string | undefined =>
  status?.conditions?.find(({ type }) => type === 'Succeeded')?.reason;
export const endOf = ({ status }: KubeObjectSeen): number => Date.parse(String(status?.['completedAt']));
