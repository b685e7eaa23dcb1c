import { isDeepStrictEqual } from 'node:util';
import type { DeleteOptions, KubeObject, ResourceType } from '../kube/client.ts';
import type { MemoryStore, StoredObject } from './memory-store.ts';
import { withMeta } from '../kube/object-meta.ts';

const orphanFinalizer = 'orphan';
const foregroundFinalizer = 'foregroundDeletion';

/** How objects go from a store: finalizers, and what becomes of what they own. */
export interface Deletion {
  settle(type: ResourceType, old: KubeObject, next: KubeObject): KubeObject;
  remove(type: ResourceType, old: KubeObject): KubeObject;
  startDeletion(type: ResourceType, object: KubeObject, propagation: DeleteOptions['propagation']): void;
}

/** `stamp` gives the time in RFC 3339. */
export function createDeletion(store: MemoryStore, stamp: () => string): Deletion {
  /** The same object as it is now: what was done to another one may have changed or removed it. */
  const current = ({ type, object }: StoredObject): KubeObject | undefined => {
    const now = store.get(type, object.metadata.namespace, object.metadata.name ?? '');
    return now?.metadata.uid === object.metadata.uid ? now : undefined;
  };

  /** Writes what changed; an object that is being deleted and has lost its last finalizer goes. */
  const settle = (type: ResourceType, old: KubeObject, next: KubeObject): KubeObject => {
    if (next.metadata.deletionTimestamp !== undefined && (next.metadata.finalizers ?? []).length === 0) {
      return remove(type, old, next);
    }
    if (isDeepStrictEqual(old, next)) return old;
    const written = store.write(type, old, next);
    if (!isDeepStrictEqual(old.metadata.ownerReferences, next.metadata.ownerReferences)) releaseForeground();
    return written;
  };

  const remove = (type: ResourceType, old: KubeObject, last: KubeObject = old): KubeObject => {
    const gone = store.erase(type, old, last);
    const uid = old.metadata.uid ?? '';
    for (const child of store.ownedBy(uid)) {
      const now = current(child);
      if (!now) continue;
      const left = (now.metadata.ownerReferences ?? []).filter((owner) => owner.uid !== uid);
      if (left.length === 0) startDeletion(child.type, now, 'Background');
      else store.write(child.type, now, withMeta(now, { ownerReferences: left }));
    }
    releaseForeground();
    return gone;
  };

  /** Owners that wait for their dependents (foreground) go when none that blocks them is left. */
  const releaseForeground = (): void => {
    for (const waiting of store.withFinalizer(foregroundFinalizer)) {
      const now = current(waiting);
      if (now?.metadata.deletionTimestamp === undefined) continue;
      const blocking = store.ownedBy(now.metadata.uid ?? '').some(({ object: child }) => {
        return child.metadata.ownerReferences?.some(
          (ref) => ref.uid === now.metadata.uid && ref.blockOwnerDeletion === true,
        );
      });
      if (blocking) continue;
      const finalizers = (now.metadata.finalizers ?? []).filter((name) => name !== foregroundFinalizer);
      settle(waiting.type, now, withMeta(now, { finalizers }));
    }
  };

  const startDeletion = (type: ResourceType, object: KubeObject, propagation: DeleteOptions['propagation']): void => {
    const uid = object.metadata.uid ?? '';
    if (propagation === 'Orphan') {
      for (const child of store.ownedBy(uid)) {
        const ownerReferences = (child.object.metadata.ownerReferences ?? []).filter((owner) => owner.uid !== uid);
        store.write(child.type, child.object, withMeta(child.object, { ownerReferences }));
      }
    }
    const dependents = store.ownedBy(uid);
    const waits = propagation === 'Foreground' && dependents.length > 0;
    const kept = (object.metadata.finalizers ?? []).filter(
      (name) => name !== orphanFinalizer && name !== foregroundFinalizer,
    );
    const finalizers = waits ? [...kept, foregroundFinalizer] : kept;
    if (finalizers.length === 0) {
      remove(type, object);
      return;
    }
    const { generation, deletionTimestamp } = object.metadata;
    const next = withMeta(object, {
      finalizers,
      deletionTimestamp: deletionTimestamp ?? stamp(),
      ...(generation === undefined || deletionTimestamp !== undefined ? {} : { generation: generation + 1 }),
    });
    if (!isDeepStrictEqual(object, next)) store.write(type, object, next);
    if (!waits) return;
    for (const child of dependents) {
      const now = current(child);
      const owners = now?.metadata.ownerReferences ?? [];
      if (now && owners.every((owner) => owner.uid === uid)) startDeletion(child.type, now, 'Background');
    }
    releaseForeground();
  };

  return { settle, remove, startDeletion };
}
