import { labels } from '../api/kinds.ts';
import type { KubeObject } from '../kube/client.ts';
import type { ObjectChange } from '../kube/object-cache.ts';
import { sameValue } from '../domain/same-value.ts';
import { resultOf } from './outcome.ts';
import { readBackup } from './read-object.ts';
import type { WatchedKind, World } from './world.ts';

/** What is looked at: `kind/namespace/name`. */
export type KeyKind = 'policy' | 'backup' | 'location';

export function printKey(kind: KeyKind, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`;
}

export function parseKey(key: string): { readonly kind: KeyKind; readonly namespace: string; readonly name: string } {
  const [kind, namespace = '', name = ''] = key.split('/');
  if (kind !== 'policy' && kind !== 'backup' && kind !== 'location') throw new TypeError(`no key: ${key}`);
  return { kind, namespace, name };
}

/** Who must look again because of a change: the object itself and what depends on it. */
export function keysOf(kind: WatchedKind, change: ObjectChange, world: World): readonly string[] {
  const { namespace = '', name } = change;
  switch (kind) {
    case 'policy':
      return [printKey('policy', namespace, name), ...unfinishedOf(world, namespace, name)];
    case 'location':
      return [printKey('location', namespace, name), ...dependOnLocation(world, change)];
    case 'backup':
      return keysOfBackup(change, world);
    case 'job':
    case 'pod':
      break;
  }
  return [...new Set([...ownersOf(change.object), ...ownersOf(change.previous)])];
}

function unfinishedOf(world: World, namespace: string, policy: string): readonly string[] {
  return world
    .unfinishedBackups()
    .filter(({ object: { metadata, spec } }) => metadata.namespace === namespace && spec.policy === policy)
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
  // Its status, which every inspection writes, says nothing to runs.
  if (object !== undefined && previous !== undefined && sameValue(object.spec, previous.spec)) return keys;
  return [...keys, ...policies.flatMap(({ metadata }) => unfinishedOf(world, namespace, metadata.name))];
}

function keysOfBackup({ namespace = '', name, object, previous }: ObjectChange, world: World): readonly string[] {
  const policies = [object, previous].flatMap((raw) => {
    const policy = (raw?.spec as { readonly policy?: unknown } | undefined)?.policy;
    return typeof policy === 'string' ? [printKey('policy', namespace, policy)] : [];
  });
  const own = object === undefined ? [] : [printKey('backup', namespace, name)];
  return [...new Set([...own, ...policies, ...(makesRoom(object, previous) ? waiting(world) : [])])];
}

/** A run that ended or is gone makes room for another one; a newer one may end an older one of its policy. */
function makesRoom(object: KubeObject | undefined, previous: KubeObject | undefined): boolean {
  const hadEnded = previous !== undefined && resultOf(readBackup(previous).object) !== undefined;
  const hasEnded = object === undefined || resultOf(readBackup(object).object) !== undefined;
  return (hasEnded && !hadEnded) || previous === undefined;
}

function waiting(world: World): readonly string[] {
  return world.unfinishedBackups().map(({ object: { metadata } }) => {
    return printKey('backup', metadata.namespace, metadata.name);
  });
}

/** Jobs and Pods say whose they are. */
function ownersOf(object: KubeObject | undefined): readonly string[] {
  const { namespace = '', labels: all } = object?.metadata ?? {};
  const backup = all?.[labels.backup];
  const location = all?.[labels.location];
  return [
    ...(backup === undefined ? [] : [printKey('backup', namespace, backup)]),
    ...(location === undefined ? [] : [printKey('location', namespace, location)]),
  ];
}
