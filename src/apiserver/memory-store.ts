import type { Clock } from '../support/clock.ts';
import { ChangeLog } from './change-log.ts';
import { KubeError, type KubeObject, type ResourceType, type WatchEvent, type WatchOptions } from '../kube/client.ts';
import type { MemoryType } from './memory-type.ts';
import { deepFreeze } from '../kube/plain-json.ts';
import { apiVersionOf } from '../kube/resource-path.ts';

export interface MemoryStoreOptions {
  readonly clock: Clock;
  readonly types: readonly MemoryType[];
  readonly historyLimit?: number;
}

/** An object with the kind it is stored as. */
export interface StoredObject {
  readonly type: ResourceType;
  readonly object: KubeObject;
}

interface Shelf {
  readonly known: MemoryType;
  readonly objects: Map<string, KubeObject>;
  readonly log: ChangeLog;
}

/** Frozen objects by kind, namespace and name, one version counter for all, and who owns whom. Knows no rules. */
export class MemoryStore {
  #version = 1;
  readonly #shelves = new Map<string, Shelf>();
  readonly #byUid = new Map<string, StoredObject>();
  readonly #children = new Map<string, Map<string, StoredObject>>();

  constructor({ clock, types, historyLimit = 10_000 }: MemoryStoreOptions) {
    for (const known of types) {
      const log = new ChangeLog(clock, historyLimit, () => this.#version);
      this.#shelves.set(shelfOf(known.type), { known, objects: new Map(), log });
    }
  }

  /** Version of the latest change of any kind. */
  get version(): number {
    return this.#version;
  }

  known(type: ResourceType): MemoryType {
    return this.#shelf(type).known;
  }

  get(type: ResourceType, namespace: string | undefined, name: string): KubeObject | undefined {
    return this.#shelf(type).objects.get(keyOf(namespace, name));
  }

  /** Ordered by namespace and name. */
  list(type: ResourceType, namespace: string | undefined): readonly KubeObject[] {
    const { objects } = this.#shelf(type);
    const keys = [...objects.keys()].filter((key) => namespace === undefined || key.startsWith(`${namespace}/`));
    return keys.sort().flatMap((key) => objects.get(key) ?? []);
  }

  watch(type: ResourceType, options: WatchOptions, signal: AbortSignal): AsyncIterable<WatchEvent> {
    return this.#shelf(type).log.watch(options, signal);
  }

  /** Stores an object under the next version, which the returned object carries. */
  write(type: ResourceType, old: KubeObject | undefined, next: KubeObject): KubeObject {
    const written = this.#nextVersion(next);
    const shelf = this.#shelf(type);
    if (old) this.#unlink(old);
    shelf.objects.set(keyOf(next.metadata.namespace, next.metadata.name ?? ''), written);
    this.#link({ type, object: written });
    shelf.log.append(this.#version, old, written, written);
    return written;
  }

  /** Removes an object; `last` is what watches see of it. */
  erase(type: ResourceType, old: KubeObject, last: KubeObject): KubeObject {
    const gone = this.#nextVersion(last);
    const shelf = this.#shelf(type);
    this.#unlink(old);
    shelf.objects.delete(keyOf(old.metadata.namespace, old.metadata.name ?? ''));
    shelf.log.append(this.#version, old, undefined, gone);
    return gone;
  }

  ownedBy(uid: string): readonly StoredObject[] {
    return [...(this.#children.get(uid)?.values() ?? [])];
  }

  withFinalizer(finalizer: string): readonly StoredObject[] {
    return [...this.#byUid.values()].filter(({ object }) => object.metadata.finalizers?.includes(finalizer));
  }

  /** Whether the object names owners, all of them of kinds known here, and none of them exists. */
  isAbandoned(object: KubeObject): boolean {
    const owners = object.metadata.ownerReferences ?? [];
    const kinds = [...this.#shelves.values()].map(({ known: { type } }) => `${apiVersionOf(type)} ${type.kind}`);
    return (
      owners.length > 0 &&
      owners.every((owner) => kinds.includes(`${owner.apiVersion} ${owner.kind}`) && !this.#byUid.has(owner.uid))
    );
  }

  trim(): void {
    for (const { log } of this.#shelves.values()) log.trim();
  }

  #nextVersion(object: KubeObject): KubeObject {
    this.#version += 1;
    return deepFreeze({ ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } });
  }

  #shelf(type: ResourceType): Shelf {
    const shelf = this.#shelves.get(shelfOf(type));
    if (!shelf) throw new KubeError('NotFound', 'the server could not find the requested resource', { status: 404 });
    return shelf;
  }

  #link(stored: StoredObject): void {
    const { uid = '', ownerReferences = [] } = stored.object.metadata;
    this.#byUid.set(uid, stored);
    for (const owner of ownerReferences) {
      const children = this.#children.get(owner.uid) ?? new Map<string, StoredObject>();
      this.#children.set(owner.uid, children.set(uid, stored));
    }
  }

  #unlink(object: KubeObject): void {
    const { uid = '', ownerReferences = [] } = object.metadata;
    this.#byUid.delete(uid);
    for (const owner of ownerReferences) {
      const children = this.#children.get(owner.uid);
      children?.delete(uid);
      if (children?.size === 0) this.#children.delete(owner.uid);
    }
  }
}

const keyOf = (namespace: string | undefined, name: string): string => `${namespace ?? ''}/${name}`;
const shelfOf = (type: ResourceType): string => `${apiVersionOf(type)}/${type.plural}`;
