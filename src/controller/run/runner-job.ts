import type { z } from 'zod';
import { annotations, apiVersion, type RestoreRequest } from '../../api/kinds.ts';
import type { runnerOptions } from '../../api/parts.ts';
import { Failure } from '../../api/failure.ts';
import { proxyEnvironment, runnerEnvironment } from '../../domain/runner-environment.ts';
import { runnerFiles, taskMaxBytes, type Task } from '../../domain/task.ts';
import type { Claims } from '../backup/task.ts';
import type { RunnerTemplate } from '../mode.ts';
import { checkKeys } from './check-keys.ts';
import { optional } from './optional.ts';
import { podSecurity } from './pod-security.ts';
import { runnerContainer } from './pods.ts';
import { managedBy } from '../resources.ts';
import type { CreateAction } from '../action.ts';

export interface RunnerJob {
  readonly name: string;
  readonly owner: {
    readonly kind: string;
    readonly metadata: { readonly name: string; readonly namespace: string; readonly uid: string };
  };
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly task: Task;
  readonly claims: Claims;
  readonly options: z.infer<ReturnType<typeof runnerOptions>>;
  readonly deadlineSeconds: number;
  readonly retries: number;
  /** Of the work folder; without it there is no limit but the node's disk. */
  readonly scratch?: RestoreRequest['spec']['scratch'] | undefined;
  readonly template: RunnerTemplate;
}

/**
 * Where a quota wants them said, a pod that says none is refused; and one that asks for nothing is the first to be evicted. The limit is
 * far above what runners take (docs/performance.md).
 */
export const defaultResources = { requests: { cpu: '50m', memory: '192Mi' }, limits: { memory: '2Gi' } } as const;

/** Exit codes that no further try can change: a bug, committed in part, permanent (api/reasons.ts). */
const finalExitCodes = [1, 3, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 76, 77, 78];
const rules = [
  { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
  { action: 'FailJob', onExitCodes: { containerName: runnerContainer, operator: 'In', values: finalExitCodes } },
] as const;

/**
 * The Job of one task: no secret in it, no API token in its pod, nothing writable but its own folders.
 * @throws Failure SpecInvalid when the task is larger than an annotation may be, or a key is none
 */
export function buildRunnerJob(job: RunnerJob): CreateAction['object'] {
  const { owner, template, options, claims } = job;
  checkKeys(options);
  const task = JSON.stringify(job.task);
  // Two thirds of what annotations may have in all: the user's own need room as well.
  if (Buffer.byteLength(task) > taskMaxBytes) {
    throw new Failure('SpecInvalid', `the task of ${Buffer.byteLength(task)} bytes is too large`, {
      hint: 'name fewer databases, patterns or host keys',
    });
  }
  const labels = { ...job.labels, [managedBy.key]: managedBy.value, 'app.kubernetes.io/name': 'pgbackup-runner' };
  const secrets = listSecrets(job.task);
  const security = podSecurity(options.securityContext ?? template.securityContext);
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: job.name,
      namespace: owner.metadata.namespace,
      labels,
      ...(job.annotations === undefined ? {} : { annotations: job.annotations }),
      ownerReferences: [
        {
          apiVersion,
          kind: owner.kind,
          name: owner.metadata.name,
          uid: owner.metadata.uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      completions: 1,
      parallelism: 1,
      backoffLimit: job.retries,
      activeDeadlineSeconds: job.deadlineSeconds,
      podReplacementPolicy: 'Failed',
      podFailurePolicy: { rules },
      template: {
        metadata: {
          labels: { ...options.podLabels, ...labels },
          annotations: { ...options.podAnnotations, [annotations.task]: task },
        },
        spec: {
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: 60,
          securityContext: security.securityContext,
          ...optional('serviceAccountName', options.serviceAccountName),
          ...optional('nodeSelector', options.nodeSelector),
          ...optional('tolerations', options.tolerations),
          ...optional('priorityClassName', options.priorityClassName),
          ...optional(
            'imagePullSecrets',
            template.imagePullSecrets?.map((name) => ({ name })),
          ),
          containers: [
            {
              name: runnerContainer,
              image: template.image,
              ...optional('imagePullPolicy', template.imagePullPolicy),
              ...optional('command', template.command),
              args: ['runner'],
              env: Object.entries({ ...runnerEnvironment, ...proxyEnvironment(options.proxy) }).map(
                ([name, value]) => ({
                  name,
                  value,
                }),
              ),
              resources: options.resources ?? defaultResources,
              terminationMessagePath: runnerFiles.terminationMessage,
              terminationMessagePolicy: 'File',
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ['ALL'] },
              },
              volumeMounts: [
                { name: 'task', mountPath: `${runnerFiles.root}/task`, readOnly: true },
                { name: 'work', mountPath: `${runnerFiles.root}/${runnerFiles.work}` },
                { name: 'private', mountPath: `${runnerFiles.root}/${runnerFiles.private}` },
                { name: 'tmp', mountPath: '/tmp' },
                ...secrets.map(({ secretName }, index) => ({
                  name: `secret-${index + 1}`,
                  mountPath: `${runnerFiles.root}/secrets/${secretName}`,
                  readOnly: true,
                })),
                ...[...claims.keys()].map((volume) => ({
                  name: volume,
                  mountPath: `${runnerFiles.root}/${runnerFiles.volume(volume)}`,
                })),
              ],
            },
          ],
          volumes: [
            {
              name: 'task',
              downwardAPI: {
                items: [
                  { path: 'task.json', fieldRef: { fieldPath: `metadata.annotations['${annotations.task}']` } },
                  { path: 'pod-uid', fieldRef: { fieldPath: 'metadata.uid' } },
                ],
              },
            },
            { name: 'work', ...workVolume(job.scratch) },
            { name: 'private', emptyDir: { medium: 'Memory', sizeLimit: '16Mi' } },
            { name: 'tmp', emptyDir: {} },
            ...secrets.map(({ secretName, keys }, index) => ({
              name: `secret-${index + 1}`,
              // Optional, so that the pod starts and can name what is missing; only the keys that are named.
              secret: {
                secretName,
                optional: true,
                defaultMode: security.secretMode,
                items: keys.map((key) => ({ key, path: key })),
              },
            })),
            ...[...claims].map(([name, claimName]) => ({ name, persistentVolumeClaim: { claimName } })),
          ],
        },
      },
    },
  };
}

/** The node's disk, or a volume that is made and removed with the pod. */
function workVolume(scratch: RunnerJob['scratch']): object {
  const { size, storageClassName } = scratch ?? {};
  if (storageClassName === undefined) return { emptyDir: { ...optional('sizeLimit', size) } };
  const spec = { accessModes: ['ReadWriteOnce'], storageClassName, resources: { requests: { storage: size } } };
  return { ephemeral: { volumeClaimTemplate: { spec } } };
}

/** Every Secret that a task names, with all keys of it, in the order in which they are named. */
export function listSecrets(task: Task): readonly { readonly secretName: string; readonly keys: readonly string[] }[] {
  const found = new Map<string, Set<string>>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if ('secretName' in value && 'keys' in value && typeof value.secretName === 'string') {
      const keys = found.get(value.secretName) ?? new Set();
      for (const key of Object.values(value.keys ?? {})) if (typeof key === 'string') keys.add(key);
      found.set(value.secretName, keys);
      return;
    }
    for (const member of Object.values(value)) visit(member);
  };
  visit(task);
  return [...found].map(([secretName, keys]) => ({ secretName, keys: [...keys] }));
}
