import { labels, type Backup, type RestoreRequest } from '../../api/kinds.ts';
import type { KubeObject } from '../../kube/client.ts';
import type { IndexObject } from '../../kube/object-cache.ts';
import { findCondition } from '../conditions.ts';
import { resultOf } from '../run/outcome.ts';
import { readBackup, readPolicy, readRestoreRequest } from './read-object.ts';
import { restoreResultOf } from '../restore/outcome.ts';

export const watchedKinds = ['policy', 'backup', 'location', 'restoreRequest', 'restorePolicy', 'job', 'pod'] as const;
export type WatchedKind = (typeof watchedKinds)[number];

/** Indexes that the informers of a World need. */
export const worldIndexes = {
  policy: {
    namespace: inNamespace,
    location: (raw) => destinationsOf(raw).map((location) => keyOf(raw.metadata.namespace, location)),
  },
  backup: {
    policy: (raw) => {
      const policy = (raw.spec as { readonly policy?: unknown } | undefined)?.policy;
      return typeof policy === 'string' ? [keyOf(raw.metadata.namespace, policy)] : [];
    },
    unfinished: (raw) => (isUnfinished(readBackup(raw).object) ? ['unfinished'] : []),
    unfinishedOf: (raw) => {
      const { object } = readBackup(raw);
      return isUnfinished(object) ? [keyOf(raw.metadata.namespace, object.spec?.policy ?? '')] : [];
    },
    importing: (raw) => {
      const { object } = readBackup(raw);
      const { location } = object.spec?.import ?? {};
      return location === undefined || resultOf(object) !== undefined ? [] : [keyOf(raw.metadata.namespace, location)];
    },
    failedAt: (raw) => failedPlaces(readBackup(raw).object).map((name) => keyOf(raw.metadata.namespace, name)),
  },
  location: { namespace: inNamespace },
  restoreRequest: {
    policy: (raw) => ofLabel(raw, labels.restorePolicy),
    unfinished: (raw) => (isUnfinishedRestore(readRestoreRequest(raw).object) ? ['unfinished'] : []),
    sourceless: (raw) => (isSourceless(readRestoreRequest(raw).object) ? inNamespace(raw) : []),
  },
  restorePolicy: { namespace: inNamespace },
  job: {},
  pod: { restore: (raw) => ofLabel(raw, labels.restore) },
} as const satisfies Readonly<Record<WatchedKind, Readonly<Record<string, IndexObject>>>>;

function inNamespace({ metadata }: KubeObject): readonly string[] {
  return [metadata.namespace ?? ''];
}

/** Names of locations; the spec may be of any shape. */
function destinationsOf(raw: KubeObject): readonly string[] {
  const { object, fault } = readPolicy(raw);
  return fault === undefined ? [...new Set(object.spec.destinations.map(({ location }) => location))] : [];
}

/** Names of the locations that a run that has ended did not get to. */
export function failedPlaces(backup: Backup): readonly string[] {
  if (isUnfinished(backup)) return [];
  const failed = (backup.status?.destinations ?? []).filter(({ outcome }) => outcome === 'Failed');
  return [...new Set(failed.map(({ location }) => location))];
}

/** Neither found nor ended. */
export function isUnfinished(backup: Backup): boolean {
  return backup.spec?.import === undefined && resultOf(backup) === undefined;
}

export function isUnfinishedRestore(request: RestoreRequest): boolean {
  return restoreResultOf(request) === undefined;
}

/** It has no Job yet, and not because it waits for its turn: what it waits for may be a backup or a location. */
export function isSourceless(request: RestoreRequest): boolean {
  const isQueued = findCondition(request.status?.conditions, 'Succeeded')?.reason === 'Queued';
  return isUnfinishedRestore(request) && request.status?.job === undefined && !isQueued;
}

function ofLabel({ metadata }: KubeObject, label: string): readonly string[] {
  const value = metadata.labels?.[label];
  return value === undefined ? [] : [keyOf(metadata.namespace, value)];
}

/** Of an object in the indexes. */
export function keyOf(namespace: string | undefined, name: string): string {
  return `${namespace ?? ''}/${name}`;
}
