import type { Backup, BackupLocation, BackupPolicy, RestorePolicy, RestoreRequest } from '../../api/kinds.ts';
import type { KubeObject, ResourceType } from '../../kube/client.ts';
import type { Informer } from '../../kube/informer.ts';
import type { ObjectChange } from '../../kube/object-cache.ts';
import type { Clock } from '../../support/clock.ts';
import { ShortMemory } from '../../support/short-memory.ts';
import type { JobSeen, PodSeen } from '../run/pods.ts';
import { CopiesTally, type Copies } from './copies.ts';
import { HeldManifests, type HeldAfter } from './held-manifests.ts';
import {
  readBackup,
  readLocation,
  readPolicy,
  readRestorePolicy,
  readRestoreRequest,
  type Read,
} from './read-object.ts';
import { resources } from '../resources.ts';
import { keyOf, watchedKinds, worldIndexes, type WatchedKind } from './world-indexes.ts';

export type Cache = Pick<Informer, 'get' | 'list' | 'byOwner' | 'byIndex'>;

/** What was written and no watch has shown yet is forgotten after this: then the server must have had another opinion. */
const notedForMs = 15_000;

const refusedForMs = 15 * 60_000;

/**
 * What the caches know, and over it what we wrote ourselves and they do not show yet: own writes are seen by the very next look.
 * An intent is a Job that is about to be created; it has no uid.
 */
export class World {
  readonly #caches: Readonly<Record<WatchedKind, Cache>>;
  readonly #noted: Readonly<Record<WatchedKind, ShortMemory<KubeObject>>>;
  readonly #refusals: ShortMemory<string>;
  readonly #copies = new CopiesTally();
  readonly #held = new HeldManifests();

  constructor(caches: Readonly<Record<WatchedKind, Cache>>, clock: Clock) {
    this.#caches = caches;
    const open = (kind: WatchedKind) => [kind, new ShortMemory<KubeObject>(clock, notedForMs)] as const;
    this.#noted = Object.fromEntries(watchedKinds.map(open)) as Record<WatchedKind, ShortMemory<KubeObject>>;
    this.#refusals = new ShortMemory(clock, refusedForMs);
  }

  policy(namespace: string, name: string): Read<BackupPolicy> | undefined {
    const raw = this.#get('policy', namespace, name);
    return raw && readPolicy(raw);
  }

  policies(): readonly Read<BackupPolicy>[] {
    return this.#merge('policy', this.#caches.policy.list(), () => true).map(readPolicy);
  }

  policiesIn(namespace: string): readonly Read<BackupPolicy>[] {
    const cached = this.#caches.policy.byIndex('namespace', namespace);
    return this.#merge('policy', cached, ({ metadata }) => metadata.namespace === namespace).map(readPolicy);
  }

  /** Those that have it among their destinations. */
  policiesAt(namespace: string, location: string): readonly Read<BackupPolicy>[] {
    const key = keyOf(namespace, location);
    const belongs = (raw: KubeObject): boolean => worldIndexes.policy.location(raw).includes(key);
    return this.#merge('policy', this.#caches.policy.byIndex('location', key), belongs).map(readPolicy);
  }

  location(namespace: string, name: string): Read<BackupLocation> | undefined {
    const raw = this.#get('location', namespace, name);
    return raw && readLocation(raw);
  }

  locations(): readonly Read<BackupLocation>[] {
    return this.#merge('location', this.#caches.location.list(), () => true).map(readLocation);
  }

  /** By name. */
  locationsIn(namespace: string): ReadonlyMap<string, Read<BackupLocation>> {
    const cached = this.#caches.location.byIndex('namespace', namespace);
    const raws = this.#merge('location', cached, ({ metadata }) => metadata.namespace === namespace);
    return new Map(raws.map((raw) => [raw.metadata.name ?? '', readLocation(raw)]));
  }

  backup(namespace: string, name: string): Read<Backup> | undefined {
    const raw = this.#get('backup', namespace, name);
    return raw && readBackup(raw);
  }

  backupsOfPolicy(namespace: string, policy: string): readonly Read<Backup>[] {
    const cached = this.#caches.backup.byIndex('policy', keyOf(namespace, policy));
    return this.#merge('backup', cached, ({ metadata, spec }) => {
      return metadata.namespace === namespace && (spec as { policy?: unknown } | undefined)?.policy === policy;
    }).map(readBackup);
  }

  /** Neither found nor ended. */
  unfinishedBackups(): readonly Read<Backup>[] {
    const cached = this.#caches.backup.byIndex('unfinished', 'unfinished');
    return this.#merge('backup', cached, (raw) => worldIndexes.backup.unfinished(raw).length > 0).map(readBackup);
  }

  unfinishedBackupsOf(namespace: string, policy: string): readonly Read<Backup>[] {
    const key = keyOf(namespace, policy);
    const belongs = (raw: KubeObject): boolean => worldIndexes.backup.unfinishedOf(raw).includes(key);
    return this.#merge('backup', this.#caches.backup.byIndex('unfinishedOf', key), belongs).map(readBackup);
  }

  backupsFailedAt(namespace: string, location: string): readonly Read<Backup>[] {
    const key = keyOf(namespace, location);
    const belongs = (raw: KubeObject): boolean => worldIndexes.backup.failedAt(raw).includes(key);
    return this.#merge('backup', this.#caches.backup.byIndex('failedAt', key), belongs).map(readBackup);
  }

  /** By the caches alone: what they do not show yet is another change. */
  copiesAt(namespace: string, location: string): Copies {
    return this.#copies.at(namespace, location);
  }

  /** The manifests of a location after a key, by the caches alone. */
  heldAfter(namespace: string, location: string, key: string): ReturnType<HeldAfter> {
    return this.#held.after(namespace, location, key);
  }

  /** Those that stand for something there and do not say what yet. */
  importsFrom(namespace: string, location: string): readonly Read<Backup>[] {
    const key = keyOf(namespace, location);
    const belongs = (raw: KubeObject): boolean => worldIndexes.backup.importing(raw).includes(key);
    return this.#merge('backup', this.#caches.backup.byIndex('importing', key), belongs).map(readBackup);
  }

  restoreRequest(namespace: string, name: string): Read<RestoreRequest> | undefined {
    const raw = this.#get('restoreRequest', namespace, name);
    return raw && readRestoreRequest(raw);
  }

  /** All that bear its label. */
  restoresOfPolicy(namespace: string, policy: string): readonly Read<RestoreRequest>[] {
    const key = keyOf(namespace, policy);
    const cached = this.#caches.restoreRequest.byIndex('policy', key);
    const belongs = (raw: KubeObject): boolean => worldIndexes.restoreRequest.policy(raw).includes(key);
    return this.#merge('restoreRequest', cached, belongs).map(readRestoreRequest);
  }

  unfinishedRestores(): readonly Read<RestoreRequest>[] {
    const cached = this.#caches.restoreRequest.byIndex('unfinished', 'unfinished');
    const belongs = (raw: KubeObject): boolean => worldIndexes.restoreRequest.unfinished(raw).length > 0;
    return this.#merge('restoreRequest', cached, belongs).map(readRestoreRequest);
  }

  /** Those that wait for what they restore. */
  sourcelessRestores(namespace: string): readonly Read<RestoreRequest>[] {
    const cached = this.#caches.restoreRequest.byIndex('sourceless', namespace);
    const belongs = (raw: KubeObject): boolean => worldIndexes.restoreRequest.sourceless(raw).includes(namespace);
    return this.#merge('restoreRequest', cached, belongs).map(readRestoreRequest);
  }

  restorePoliciesIn(namespace: string): readonly Read<RestorePolicy>[] {
    const cached = this.#caches.restorePolicy.byIndex('namespace', namespace);
    return this.#merge('restorePolicy', cached, ({ metadata }) => metadata.namespace === namespace).map(
      readRestorePolicy,
    );
  }

  restorePolicy(namespace: string, name: string): Read<RestorePolicy> | undefined {
    const raw = this.#get('restorePolicy', namespace, name);
    return raw && readRestorePolicy(raw);
  }

  restorePolicies(): readonly Read<RestorePolicy>[] {
    return this.#merge('restorePolicy', this.#caches.restorePolicy.list(), () => true).map(readRestorePolicy);
  }

  job(namespace: string, name: string): JobSeen | undefined {
    return this.#get('job', namespace, name) as JobSeen | undefined;
  }

  jobsOwnedBy(uid: string): readonly JobSeen[] {
    const owned = this.#merge('job', this.#caches.job.byOwner(uid), ({ metadata }) => {
      return metadata.ownerReferences?.some((owner) => owner.uid === uid) ?? false;
    });
    return owned as readonly unknown[] as readonly JobSeen[];
  }

  jobs(): readonly JobSeen[] {
    return this.#merge('job', this.#caches.job.list(), () => true) as readonly unknown[] as readonly JobSeen[];
  }

  podsOfJob(uid: string): readonly PodSeen[] {
    return this.#caches.pod.byOwner(uid) as readonly unknown[] as readonly PodSeen[];
  }

  /** Of its Job and of its cleanup's, whoever owns them (any more). */
  podsOfRestore(namespace: string, name: string): readonly PodSeen[] {
    return this.#caches.pod.byIndex('restore', keyOf(namespace, name)) as readonly unknown[] as readonly PodSeen[];
  }

  /** A Job that is about to be created counts against the limits from now on. Other intents need not be seen. */
  intend(resource: ResourceType, object: KubeObject): void {
    if (resource.plural === resources.job.plural) this.note(resource, object);
  }

  /** An object as the server answered. */
  note(resource: ResourceType, object: KubeObject): void {
    const kind = kindOf(resource);
    if (kind === undefined) return;
    const { namespace, name = '' } = object.metadata;
    const cached = this.#caches[kind].get(namespace, name);
    if (cached !== undefined && isAsNew(cached, object)) return;
    this.#noted[kind].set(keyOf(namespace, name), object);
  }

  /** The server refused to create an object of this name. Forgotten after a while: whoever still wants it asks again. */
  noteRefusal(resource: ResourceType, namespace: string, name: string, message: string): void {
    this.#refusals.set(`${resource.plural}/${keyOf(namespace, name)}`, message);
  }

  clearRefusal(resource: ResourceType, namespace: string, name: string): void {
    this.#refusals.delete(`${resource.plural}/${keyOf(namespace, name)}`);
  }

  /** Why the server refused to create an object of this name. */
  refusal(resource: ResourceType, namespace: string, name: string): string | undefined {
    return this.#refusals.get(`${resource.plural}/${keyOf(namespace, name)}`);
  }

  /** Takes an intent back. */
  forget(resource: ResourceType, object: KubeObject): void {
    const kind = kindOf(resource);
    if (kind === undefined) return;
    const key = keyOf(object.metadata.namespace, object.metadata.name ?? '');
    if (this.#noted[kind].get(key) === object) this.#noted[kind].delete(key);
  }

  /** The caches have changed: what they show now is no longer needed here. */
  caughtUp(kind: WatchedKind, change: ObjectChange): void {
    const { namespace, name, object, previous } = change;
    if (kind === 'backup') {
      this.#copies.follow(change);
      this.#held.follow(change);
    }
    const key = keyOf(namespace, name);
    const noted = this.#noted[kind].get(key);
    if (noted === undefined) return;
    const isGone = object === undefined && previous?.metadata.uid === noted.metadata.uid;
    if (isGone || (object !== undefined && isAsNew(object, noted))) this.#noted[kind].delete(key);
  }

  /** How many objects it remembers that the caches do not show yet, and refusals. */
  size(): number {
    return this.#refusals.size + watchedKinds.reduce((sum, kind) => sum + this.#noted[kind].size, 0);
  }

  #get(kind: WatchedKind, namespace: string, name: string): KubeObject | undefined {
    const cached = this.#caches[kind].get(namespace, name);
    return this.#pick(kind, keyOf(namespace, name), cached);
  }

  /** The newer of what is cached and what is noted. */
  #pick(kind: WatchedKind, key: string, cached: KubeObject | undefined): KubeObject | undefined {
    const noted = this.#noted[kind].get(key);
    if (noted === undefined) return cached;
    if (cached === undefined || !isAsNew(cached, noted)) return noted;
    this.#noted[kind].delete(key);
    return cached;
  }

  #merge(
    kind: WatchedKind,
    cached: readonly KubeObject[],
    belongs: (raw: KubeObject) => boolean,
  ): readonly KubeObject[] {
    const noted = this.#noted[kind].values();
    if (noted.length === 0) return cached;
    const replaced = new Set<KubeObject>();
    const current: KubeObject[] = [];
    for (const { metadata } of noted) {
      const { namespace = '', name = '' } = metadata;
      const known = this.#caches[kind].get(namespace, name);
      if (known !== undefined) replaced.add(known);
      const picked = this.#get(kind, namespace, name);
      if (picked !== undefined && belongs(picked)) current.push(picked);
    }
    return [...cached.filter((raw) => !replaced.has(raw)), ...current];
  }
}

/** Whether `a` is the same version or a later one. Versions of one kind are numbers that grow; an intent has none yet. */
function isAsNew(a: KubeObject, b: KubeObject): boolean {
  if (b.metadata.resourceVersion === undefined) return true;
  return Number(a.metadata.resourceVersion) >= Number(b.metadata.resourceVersion);
}

function kindOf(resource: ResourceType): WatchedKind | undefined {
  const { plural, group } = resource;
  return watchedKinds.find((kind) => resources[kind].plural === plural && resources[kind].group === group);
}
