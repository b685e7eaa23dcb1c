import type { KubeObject, OwnerReference } from '../../kube/client.ts';

/** What is read of Jobs and Pods: anything may be absent. Times are RFC 3339. */
interface Meta {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
}

interface ConditionSeen {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

export interface JobSeen {
  readonly metadata: Meta;
  readonly spec?: {
    readonly activeDeadlineSeconds?: number;
    readonly template?: { readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> } };
  };
  readonly status?: {
    readonly conditions?: readonly ConditionSeen[];
    readonly startTime?: string;
    /** Pods of it that failed, those that are gone too. */
    readonly failed?: number;
  };
}

/** What a cache needs of a Job of ours (JobSeen). */
export function keepJob(raw: KubeObject): KubeObject {
  const { apiVersion, kind, metadata, status } = raw;
  const { spec } = raw as { readonly spec?: JobSeen['spec'] };
  const annotations = spec?.template?.metadata?.annotations;
  const template = { metadata: { annotations } };
  return { apiVersion, kind, metadata, spec: { activeDeadlineSeconds: spec?.activeDeadlineSeconds, template }, status };
}

export interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly running?: { readonly startedAt?: string };
  readonly terminated?: {
    readonly exitCode?: number;
    readonly signal?: number;
    readonly reason?: string;
    readonly message?: string;
    readonly finishedAt?: string;
  };
}

export interface PodSeen {
  readonly metadata: Meta;
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly conditions?: readonly ConditionSeen[];
    readonly containerStatuses?: readonly { readonly name: string; readonly state?: ContainerState }[];
  };
}

/** What a cache needs of a pod of ours (PodSeen): its annotations repeat the task, which stands in the Job. */
export function keepPod({ apiVersion, kind, metadata, status }: KubeObject): KubeObject {
  const { annotations: _, ...kept } = metadata;
  return { apiVersion, kind, metadata: kept, status };
}

export const runnerContainer = 'runner';

/** The state of the runner's container; a sidecar that goes on or fails says nothing. */
export function runnerState(pod: PodSeen): ContainerState | undefined {
  return pod.status?.containerStatuses?.find(({ name }) => name === runnerContainer)?.state;
}

/** Nothing of it will run any more. One that was evicted before it started has ended without a container that did. */
export function hasEnded(pod: PodSeen): boolean {
  const { phase } = pod.status ?? {};
  return runnerState(pod)?.terminated !== undefined || phase === 'Failed' || phase === 'Succeeded';
}

/** Newest first; equal times by name, so that every look agrees. */
export function newestFirst(pods: readonly PodSeen[]): readonly PodSeen[] {
  return pods.toSorted(({ metadata: a }, { metadata: b }) => {
    const byTime = Date.parse(b.creationTimestamp ?? '') - Date.parse(a.creationTimestamp ?? '');
    return byTime || b.name.localeCompare(a.name);
  });
}

export function findTrue(conditions: readonly ConditionSeen[] | undefined, type: string): ConditionSeen | undefined {
  return conditions?.find((condition) => condition.type === type && condition.status === 'True');
}

export function isFinished(job: JobSeen): boolean {
  const conditions = job.status?.conditions;
  return findTrue(conditions, 'Complete') !== undefined || findTrue(conditions, 'Failed') !== undefined;
}

/** Whether an object is controlled by the owner of this uid. */
export function isControlledBy(object: { readonly metadata: Pick<Meta, 'ownerReferences'> }, uid: string): boolean {
  return object.metadata.ownerReferences?.some((owner) => owner.controller === true && owner.uid === uid) ?? false;
}
