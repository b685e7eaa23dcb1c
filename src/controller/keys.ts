import { labels, type RestoreRequest } from '../api/kinds.ts';
import type { KubeObject } from '../kube/client.ts';
import type { ObjectChange } from '../kube/object-cache.ts';
import { sameValue } from '../domain/same-value.ts';
import { resultOf } from './outcome.ts';
import { readBackup, readRestoreRequest } from './read-object.ts';
import { restoreResultOf } from './restore/outcome.ts';
import { isUnfinished, type WatchedKind, type World } from './world.ts';

/** What is looked at: `kind/namespace/name`. */
export const keyKinds = ['location', 'policy', 'backup', 'restoreRequest', 'restorePolicy'] as const;
export type KeyKind = (typeof keyKinds)[number];

export function printKey(kind: KeyKind, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`;
}

export function parseKey(key: string): { readonly kind: KeyKind; readonly namespace: string; readonly name: string } {
  const [word, namespace = '', name = ''] = key.split('/');
  const kind = keyKinds.find((each) => each === word);
  if (kind === undefined) throw new TypeError(`no key: ${key}`);
  return { kind, namespace, name };
}

/** Who must look again because of a change: the object itself and what depends on it. */
export function keysOf(kind: WatchedKind, change: ObjectChange, world: World): readonly string[] {
  const { namespace = '', name } = change;
  switch (kind) {
    case 'policy':
      return [
        printKey('policy', namespace, name),
        ...(isNewToRuns(change) ? unfinishedOf(world, namespace, name) : []),
        ...(isNewToRuns(change) ? restorePoliciesOn(world, namespace, ({ policy }) => policy?.name === name) : []),
      ];
    case 'location':
      return [
        printKey('location', namespace, name),
        ...dependOnLocation(world, change),
        ...restorePoliciesOn(world, namespace, (source) => locationsOf(source).includes(name)),
        ...waitingRestores(world, namespace),
      ];
    case 'backup':
      return keysOfBackup(change, world);
    case 'restoreRequest':
      return keysOfRestore(change, world);
    case 'restorePolicy':
      return [printKey('restorePolicy', namespace, name)];
    case 'job':
    case 'pod':
      break;
  }
  return [...new Set([...ownersOf(change.object), ...ownersOf(change.previous)])];
}

/** A status, which every look may write, says nothing to runs. */
function isNewToRuns({ object, previous }: ObjectChange): boolean {
  if (object === undefined || previous === undefined) return true;
  const isSame =
    object.metadata.uid === previous.metadata.uid &&
    object.metadata.deletionTimestamp === previous.metadata.deletionTimestamp &&
    sameValue(object.spec, previous.spec);
  return !isSame;
}

function unfinishedOf(world: World, namespace: string, policy: string): readonly string[] {
  return world
    .backupsOfPolicy(namespace, policy)
    .filter(({ object }) => isUnfinished(object))
    .map(({ object: { metadata } }) => printKey('backup', namespace, metadata.name));
}

function dependOnLocation(world: World, { namespace = '', name, object, previous }: ObjectChange): readonly string[] {
  const policies = world
    .policies()
    .map(({ object: policy }) => policy)
    .filter(({ metadata, spec }) => {
      return metadata.namespace === namespace && spec.destinations?.some(({ location }) => location === name);
    });
  const keys = policies.map(({ metadata }) => printKey('policy', namespace, metadata.name));
  if (object !== undefined && previous !== undefined && sameValue(object.spec, previous.spec)) return keys;
  return [...keys, ...policies.flatMap(({ metadata }) => unfinishedOf(world, namespace, metadata.name))];
}

function keysOfBackup({ namespace = '', name, object, previous }: ObjectChange, world: World): readonly string[] {
  const policies = [object, previous].flatMap((raw) => {
    const policy = (raw?.spec as { readonly policy?: unknown } | undefined)?.policy;
    return typeof policy === 'string' ? [policy] : [];
  });
  const own = object === undefined ? [] : [printKey('backup', namespace, name)];
  // A newer run may end an older one of its policy.
  const siblings = previous === undefined ? policies.flatMap((policy) => unfinishedOf(world, namespace, policy)) : [];
  const room = makesRoom(object, previous) ? waiting(world) : [];
  // What a request waits for may be a place, or this backup.
  const restores = previous === undefined || makesRoom(object, previous) ? waitingRestores(world) : [];
  // The first backup of a policy that is gone makes restores of it possible.
  const fed = previous === undefined ? restorePoliciesOn(world, namespace, isOfAny(policies)) : [];
  const keys = [
    ...own,
    ...policies.map((policy) => printKey('policy', namespace, policy)),
    ...siblings,
    ...room,
    ...fed,
  ];
  return [...new Set([...keys, ...restores])];
}

function keysOfRestore({ namespace = '', name, object, previous }: ObjectChange, world: World): readonly string[] {
  const policies = [object, previous].flatMap((raw) => raw?.metadata.labels?.[labels.restorePolicy] ?? []);
  const hadEnded = previous === undefined || restoreResultOf(readRestoreRequest(previous).object) !== undefined;
  const hasEnded = object === undefined || restoreResultOf(readRestoreRequest(object).object) !== undefined;
  const room = hasEnded && !hadEnded ? [...waiting(world), ...waitingRestores(world)] : [];
  const own = object === undefined ? [] : [printKey('restoreRequest', namespace, name)];
  return [...new Set([...own, ...policies.map((policy) => printKey('restorePolicy', namespace, policy)), ...room])];
}

type Source = RestoreRequest['spec']['source'];

/** The policies whose source is concerned. Their specs may be of any shape. */
function restorePoliciesOn(
  world: World,
  namespace: string,
  isConcerned: (source: Source) => boolean,
): readonly string[] {
  return world
    .restorePolicies()
    .filter(({ object, fault }) => {
      return (
        fault === undefined && object.metadata.namespace === namespace && isConcerned(object.spec.template.spec.source)
      );
    })
    .map(({ object: { metadata } }) => printKey('restorePolicy', namespace, metadata.name));
}

const isOfAny =
  (policies: readonly string[]) =>
  ({ policy }: Source): boolean =>
    policies.includes(policy?.name ?? '');

function locationsOf({ backup, policy, file }: Source): readonly string[] {
  return [backup?.location, policy?.location, file?.location].filter((name) => name !== undefined);
}

/** Those that have no Job yet. */
function waitingRestores(world: World, namespace?: string): readonly string[] {
  return world.unfinishedRestores().flatMap(({ object: { metadata, status } }) => {
    const isElsewhere = namespace !== undefined && metadata.namespace !== namespace;
    if (isElsewhere || status?.job !== undefined) return [];
    return [printKey('restoreRequest', metadata.namespace, metadata.name)];
  });
}

/** A run that ended or is gone makes room for another one. */
function makesRoom(object: KubeObject | undefined, previous: KubeObject | undefined): boolean {
  const hadEnded = previous === undefined || resultOf(readBackup(previous).object) !== undefined;
  const hasEnded = object === undefined || resultOf(readBackup(object).object) !== undefined;
  return hasEnded && !hadEnded;
}

/** Those that have no Job yet. */
function waiting(world: World): readonly string[] {
  return world.unfinishedBackups().flatMap(({ object: { metadata, status } }) => {
    return status?.job === undefined ? [printKey('backup', metadata.namespace, metadata.name)] : [];
  });
}

/** Jobs and Pods say whose they are. */
function ownersOf(object: KubeObject | undefined): readonly string[] {
  const { namespace = '', labels: all } = object?.metadata ?? {};
  const backup = all?.[labels.backup];
  const location = all?.[labels.location];
  const restore = all?.[labels.restore];
  return [
    ...(backup === undefined ? [] : [printKey('backup', namespace, backup)]),
    ...(location === undefined ? [] : [printKey('location', namespace, location)]),
    ...(restore === undefined ? [] : [printKey('restoreRequest', namespace, restore)]),
  ];
}
