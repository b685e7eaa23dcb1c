import { isCopy } from '../../api/backup.ts';
import type { Backup } from '../../api/kinds.ts';
import { markLength } from '../../domain/known-manifests.ts';
import type { ObjectChange } from '../../kube/object-cache.ts';
import { OrderedMap } from '../../support/ordered-map.ts';
import { readBackup } from './read-object.ts';
import { keyOf } from './world-indexes.ts';

/** A manifest that a location is said to have, or to have lost. */
export interface HeldManifest {
  /** Name of its Backup. */
  readonly backup: string;
  /** Of how it looked when it was last read, if it is there. */
  readonly mark: string | undefined;
}

/** Of one location: those after a key, in order. */
export type HeldAfter = (key: string) => Iterable<readonly [key: string, held: HeldManifest]>;

/** The manifests of locations by the Backup objects that are known, in order of keys: kept along with a cache, as a hundred thousand are not sorted in a look. */
export class HeldManifests {
  readonly #byPlace = new Map<string, OrderedMap<HeldManifest>>();

  follow({ object, previous }: ObjectChange): void {
    if (previous !== undefined) this.#remove(readBackup(previous).object);
    if (object !== undefined) this.#add(readBackup(object).object);
  }

  /** Those after a key of a location, in order. */
  after(namespace: string, location: string, key: string): ReturnType<HeldAfter> {
    return this.#byPlace.get(keyOf(namespace, location))?.after(key) ?? [];
  }

  #add({ metadata, status }: Backup): void {
    for (const destination of status?.destinations ?? []) {
      const { location, outcome, manifestKey, listed } = destination;
      if (manifestKey === undefined || outcome === 'Failed' || outcome === 'Removed') continue;
      const place = keyOf(metadata.namespace, location);
      const held = this.#byPlace.get(place) ?? new OrderedMap<HeldManifest>();
      this.#byPlace.set(place, held);
      held.set(manifestKey, {
        backup: metadata.name,
        mark: isCopy(destination) && listed?.length === markLength ? listed : undefined,
      });
    }
  }

  #remove({ metadata, status }: Backup): void {
    for (const { location, manifestKey } of status?.destinations ?? []) {
      const place = keyOf(metadata.namespace, location);
      const held = this.#byPlace.get(place);
      if (held === undefined || manifestKey === undefined) continue;
      if (held.get(manifestKey)?.backup === metadata.name) held.delete(manifestKey);
      if (held.isEmpty) this.#byPlace.delete(place);
    }
  }
}
