import { labels, type BackupPolicy, type RestoreRequest } from '../../api/kinds.ts';
import type { KubeObject } from '../../kube/client.ts';
import type { ObjectChange } from '../../kube/object-cache.ts';
import { sameValue } from '../../domain/same-value.ts';
import { resultOf } from '../run/outcome.ts';
import type { BackupLocationStatus } from '../../api/backup-location.ts';
import { changedPlaces } from './copies.ts';
import { retentionRules } from '../retention/rules.ts';
import { readBackup, readPolicy, type Read } from './read-object.ts';
import type { World } from './world.ts';
import { failedPlaces, type WatchedKind } from './world-indexes.ts';

/** What is looked at: `kind/namespace/name`. Retention and repair of a policy are looked at by themselves, and bear its name. */
export const keyKinds = [
  'location',
  'policy',
  'retention',
  'repair',
  'backup',
  'restoreRequest',
  'restorePolicy',
] as const;
export type KeyKind = (typeof keyKinds)[number];

const upkeeps = ['retention', 'repair'] as const satisfies readonly KeyKind[];
type Upkeep = (typeof upkeeps)[number];
const isUpkeep = (kind: KeyKind): kind is Upkeep => kind === 'retention' || kind === 'repair';

/** The kind of the object that a key is about. */
export const watchedAs = (kind: KeyKind): WatchedKind => (isUpkeep(kind) ? 'policy' : kind);

/** Whether there is anything to be looked at. */
export function isLookedAt(kind: KeyKind, raw: KubeObject): boolean {
  return !isUpkeep(kind) || hasUpkeep(kind, readPolicy(raw));
}

export function printKey(kind: KeyKind, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`;
}

export function parseKey(key: string): { readonly kind: KeyKind; readonly namespace: string; readonly name: string } {
  const [word, namespace = '', name = ''] = key.split('/');
  const kind = keyKinds.find((each) => each === word);
  if (kind === undefined) throw new TypeError(`no key: ${key}`);
  return { kind, namespace, name };
}

/** Who gets the places that are free; one look for all runs. */
export const admissionKey = 'admission';

export function isRunKey(key: string): boolean {
  return key.startsWith('backup/') || key.startsWith('restoreRequest/');
}

/** Of an object of ours, also of one that is gone. */
export function ownKey(kind: WatchedKind, { namespace = '', name }: ObjectChange): string | undefined {
  return kind === 'job' || kind === 'pod' ? undefined : printKey(kind, namespace, name);
}

/** Who must look again because of a change: the object itself and what depends on it. */
export function keysOf(kind: WatchedKind, change: ObjectChange, world: World): readonly string[] {
  const { namespace = '', name } = change;
  switch (kind) {
    case 'policy':
      return [
        printKey('policy', namespace, name),
        ...upkeepOf(change),
        ...(isNewToRuns(change) ? unfinishedOf(world, namespace, name) : []),
        ...(isNewToRuns(change) ? restorePoliciesOn(world, namespace, ({ policy }) => policy?.name === name) : []),
      ];
    case 'location':
      if (isOnlyCounted(change)) return [];
      return [
        printKey('location', namespace, name),
        ...dependOnLocation(world, change),
        ...restorePoliciesOn(world, namespace, (source) => locationsOf(source).includes(name)),
        ...sourceless(world, namespace),
      ];
    case 'backup':
      return keysOfBackup(change, world);
    case 'restoreRequest':
      return keysOfRestore(change);
    case 'restorePolicy':
      return [printKey('restorePolicy', namespace, name)];
    case 'job':
    case 'pod':
      break;
  }
  return [...new Set([...ownersOf(change.object), ...ownersOf(change.previous)])];
}

/** Only of a policy that has some, or had. */
function upkeepOf({ namespace = '', name, object, previous }: ObjectChange): readonly string[] {
  const reads = [object, previous].flatMap((raw) => (raw === undefined ? [] : readPolicy(raw)));
  return upkeeps
    .filter((kind) => reads.some((read) => hasUpkeep(kind, read)))
    .map((kind) => printKey(kind, namespace, name));
}

function hasUpkeep(kind: Upkeep, { object: { spec, status }, fault }: Read<BackupPolicy>): boolean {
  if (fault !== undefined) return false;
  if (kind === 'retention') return status?.prunes !== undefined || retentionRules(spec).size > 0;
  return status?.repairs !== undefined || spec.repair !== undefined;
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

/** Each end of a run changes what its locations hold, and thousands of policies may have them among their destinations. */
function isOnlyCounted({ object, previous }: ObjectChange): boolean {
  if (object === undefined || previous === undefined) return false;
  return sameValue(withoutCounts(object), withoutCounts(previous));
}

function withoutCounts({ metadata, spec, status }: KubeObject): unknown {
  const { backups: _b, storedBytes: _s, storedSize: _t, ...rest } = (status ?? {}) as BackupLocationStatus;
  const { uid, generation, deletionTimestamp, annotations } = metadata;
  return [uid, generation, deletionTimestamp, annotations, spec, rest];
}

function unfinishedOf(world: World, namespace: string, policy: string): readonly string[] {
  return world
    .unfinishedBackupsOf(namespace, policy)
    .map(({ object: { metadata } }) => printKey('backup', namespace, metadata.name));
}

function dependOnLocation(world: World, { namespace = '', name, object, previous }: ObjectChange): readonly string[] {
  const policies = world.policiesAt(namespace, name).map(({ object: { metadata } }) => metadata.name);
  const keys = policies.flatMap((policy) => [
    printKey('policy', namespace, policy),
    ...upkeepNamed(world, namespace, policy),
  ]);
  if (object !== undefined && previous !== undefined && sameValue(object.spec, previous.spec)) return keys;
  return [...keys, ...policies.flatMap((policy) => unfinishedOf(world, namespace, policy))];
}

function keysOfBackup(change: ObjectChange, world: World): readonly string[] {
  const { namespace = '', name, object, previous } = change;
  const policies = [object, previous].flatMap((raw) => {
    const policy = (raw?.spec as { readonly policy?: unknown } | undefined)?.policy;
    return typeof policy === 'string' ? [policy] : [];
  });
  const isNew = previous === undefined;
  const isOver = hasEnded(object) && !hasEnded(previous);
  const own = object === undefined ? [] : [printKey('backup', namespace, name)];
  const missed = isOver && object !== undefined ? failedPlaces(readBackup(object).object) : [];
  // A newer run may end an older one of its policy, and start when that has ended. Those that wait for a place are not woken here
  // (admission/admission.ts).
  const replacing = isNew || isOver ? policies.filter((policy) => replaces(world, namespace, policy)) : [];
  const places = changedPlaces(change);
  // The first backup of a policy that is gone makes restores of it possible.
  const fed = isNew ? restorePoliciesOn(world, namespace, isOfAny(policies)) : [];
  const keys = [
    ...own,
    ...policies.map((policy) => printKey('policy', namespace, policy)),
    ...replacing.flatMap((policy) => unfinishedOf(world, namespace, policy)),
    ...fed,
    ...missed.map((location) => printKey('location', namespace, location)),
    ...(isOver || places.length > 0 ? policies.flatMap((policy) => upkeepNamed(world, namespace, policy)) : []),
    ...places.map((location) => printKey('location', namespace, location)),
    ...(isNew || isOver ? sourceless(world, namespace) : []),
  ];
  return [...new Set(keys)];
}

function upkeepNamed(world: World, namespace: string, name: string): readonly string[] {
  const read = world.policy(namespace, name);
  if (read === undefined) return [];
  return upkeeps.filter((kind) => hasUpkeep(kind, read)).map((kind) => printKey(kind, namespace, name));
}

function replaces(world: World, namespace: string, policy: string): boolean {
  const read = world.policy(namespace, policy);
  return read?.fault === undefined && read?.object.spec.concurrencyPolicy === 'Replace';
}

function keysOfRestore({ namespace = '', name, object, previous }: ObjectChange): readonly string[] {
  const policies = [object, previous].flatMap((raw) => raw?.metadata.labels?.[labels.restorePolicy] ?? []);
  const own = object === undefined ? [] : [printKey('restoreRequest', namespace, name)];
  return [...new Set([...own, ...policies.map((policy) => printKey('restorePolicy', namespace, policy))])];
}

type Source = RestoreRequest['spec']['source'];

/** The policies whose source is concerned. Their specs may be of any shape. */
function restorePoliciesOn(
  world: World,
  namespace: string,
  isConcerned: (source: Source) => boolean,
): readonly string[] {
  return world
    .restorePoliciesIn(namespace)
    .filter(({ object, fault }) => fault === undefined && isConcerned(object.spec.template.spec.source))
    .map(({ object: { metadata } }) => printKey('restorePolicy', namespace, metadata.name));
}

const isOfAny =
  (policies: readonly string[]) =>
  ({ policy }: Source): boolean =>
    policies.includes(policy?.name ?? '');

function locationsOf({ backup, policy, file }: Source): readonly string[] {
  return [backup?.location, policy?.location, file?.location].filter((name) => name !== undefined);
}

/** Requests that wait for a backup or a location. */
function sourceless(world: World, namespace: string): readonly string[] {
  return world
    .sourcelessRestores(namespace)
    .map(({ object: { metadata } }) => printKey('restoreRequest', namespace, metadata.name));
}

function hasEnded(raw: KubeObject | undefined): boolean {
  return raw === undefined || resultOf(readBackup(raw).object) !== undefined;
}

/** Jobs and Pods say whose they are. */
function ownersOf(object: KubeObject | undefined): readonly string[] {
  const { namespace = '', labels: all } = object?.metadata ?? {};
  const backup = all?.[labels.backup];
  const location = all?.[labels.location];
  const restore = all?.[labels.restore];
  const policy = all?.[labels.policy];
  const upkeep = all?.[labels.task] === 'prune' ? 'retention' : 'repair';
  const isUpkeepJob = all?.[labels.task] === 'prune' || all?.[labels.task] === 'copy';
  if (policy !== undefined && isUpkeepJob) return [printKey(upkeep, namespace, policy)];
  return [
    ...(backup === undefined ? [] : [printKey('backup', namespace, backup)]),
    ...(location === undefined ? [] : [printKey('location', namespace, location)]),
    ...(restore === undefined ? [] : [printKey('restoreRequest', namespace, restore)]),
  ];
}
