import type { KubeObject, ObjectMeta } from './client.ts';
import { deepFreeze } from './plain-json.ts';

/** What became of one object. `previous` may be another incarnation (uid) of the same name. */
export interface ObjectChange {
  readonly namespace: string | undefined;
  readonly name: string;
  /** Undefined: the object is gone. */
  readonly object: KubeObject | undefined;
  readonly previous: KubeObject | undefined;
}

/** The index values of an object, e.g. the names of what it refers to. */
export type IndexObject = (object: KubeObject) => readonly string[];

/** Frozen objects by namespace and name, with indexes. */
export class ObjectCache {
  #objects = new Map<string, KubeObject>();
  readonly #indexes: ReadonlyMap<string, { readonly valuesOf: IndexObject; readonly keys: Map<string, Set<string>> }>;

  constructor(indexes: Readonly<Record<string, IndexObject>>) {
    const all = { ...indexes, [ownerIndex]: ownersOf };
    this.#indexes = new Map(Object.entries(all).map(([name, valuesOf]) => [name, { valuesOf, keys: new Map() }]));
  }

  get size(): number {
    return this.#objects.size;
  }

  get(namespace: string | undefined, name: string): KubeObject | undefined {
    return this.#objects.get(keyOf(namespace, name));
  }

  list(namespace: string | undefined): readonly KubeObject[] {
    const all = [...this.#objects.values()];
    return namespace === undefined ? all : all.filter(({ metadata }) => metadata.namespace === namespace);
  }

  byIndex(index: string, value: string): readonly KubeObject[] {
    const found = this.#indexes.get(index);
    if (!found) throw new Error(`there is no index ${JSON.stringify(index)}`);
    return [...(found.keys.get(value) ?? [])].flatMap((key) => this.#objects.get(key) ?? []);
  }

  byOwner(uid: string): readonly KubeObject[] {
    return this.byIndex(ownerIndex, uid);
  }

  /** Undefined when this very version was known. */
  set(object: KubeObject): ObjectChange | undefined {
    const { namespace, name = '' } = object.metadata;
    const previous = this.get(namespace, name);
    if (previous && isSameVersion(previous, object)) return undefined;
    const frozen = deepFreeze(object);
    if (previous) this.#unindex(previous);
    this.#objects.set(keyOf(namespace, name), frozen);
    for (const { valuesOf, keys } of this.#indexes.values()) {
      for (const value of valuesOf(frozen)) keys.set(value, (keys.get(value) ?? new Set()).add(keyOf(namespace, name)));
    }
    return { namespace, name, object: frozen, previous };
  }

  /** Undefined when there was none. */
  remove(namespace: string | undefined, name: string): ObjectChange | undefined {
    const previous = this.get(namespace, name);
    if (!previous) return undefined;
    this.#unindex(previous);
    this.#objects.delete(keyOf(namespace, name));
    return { namespace, name, object: undefined, previous };
  }

  /** Those that are here and not among these. */
  listOthers(objects: readonly KubeObject[]): readonly Pick<ObjectMeta, 'namespace' | 'name'>[] {
    const kept = new Set(objects.map(({ metadata }) => keyOf(metadata.namespace, metadata.name ?? '')));
    return [...this.#objects].filter(([key]) => !kept.has(key)).map(([, { metadata }]) => metadata);
  }

  #unindex(object: KubeObject): void {
    const key = keyOf(object.metadata.namespace, object.metadata.name ?? '');
    for (const { valuesOf, keys } of this.#indexes.values()) {
      for (const value of valuesOf(object)) {
        const left = keys.get(value);
        left?.delete(key);
        if (left?.size === 0) keys.delete(value);
      }
    }
  }
}

const ownerIndex = 'owner';
const ownersOf: IndexObject = ({ metadata }) => (metadata.ownerReferences ?? []).map(({ uid }) => uid);
const keyOf = (namespace: string | undefined, name: string): string => `${namespace ?? ''}/${name}`;

function isSameVersion({ metadata: a }: KubeObject, { metadata: b }: KubeObject): boolean {
  return a.uid === b.uid && a.resourceVersion === b.resourceVersion;
}
