import { isCopy } from '../../api/backup.ts';
import type { Backup } from '../../api/kinds.ts';
import type { ObjectChange } from '../../kube/object-cache.ts';
import { readBackup } from './read-object.ts';
import { keyOf } from './world-indexes.ts';

/** How many backups a location holds, by the Backup objects that are known, and what they take. */
export interface Copies {
  readonly backups: number;
  readonly storedBytes: number;
}

/** The locations that hold a backup, and its size, as `Copies` counts them. */
function copiesOf({ metadata, status }: Backup): ReadonlyMap<string, number> {
  const held = (status?.destinations ?? []).filter(isCopy);
  return new Map(
    held.map(({ location, bytes }) => [keyOf(metadata.namespace, location), status?.storedBytes ?? bytes ?? 0]),
  );
}

const copiesIn = (raw: ObjectChange['object']): ReadonlyMap<string, number> =>
  raw === undefined ? new Map<string, number>() : copiesOf(readBackup(raw).object);

/** Names of the locations that hold more, or less, since a change of a Backup. */
export function changedPlaces({ object, previous }: ObjectChange): readonly string[] {
  const [now, before] = [copiesIn(object), copiesIn(previous)];
  const changed = [...new Set([...now.keys(), ...before.keys()])].filter((key) => now.get(key) !== before.get(key));
  return changed.map((key) => key.slice(key.indexOf('/') + 1));
}

/** Counts along with the changes of a cache: a hundred thousand Backups are not added up at each end of a run. */
export class CopiesTally {
  readonly #byPlace = new Map<string, { backups: number; storedBytes: number }>();

  follow({ object, previous }: ObjectChange): void {
    this.#add(copiesIn(previous), -1);
    this.#add(copiesIn(object), 1);
  }

  at(namespace: string, location: string): Copies {
    return { backups: 0, storedBytes: 0, ...this.#byPlace.get(keyOf(namespace, location)) };
  }

  #add(copies: ReadonlyMap<string, number>, sign: 1 | -1): void {
    for (const [place, bytes] of copies) {
      const sums = this.#byPlace.get(place) ?? { backups: 0, storedBytes: 0 };
      sums.backups += sign;
      sums.storedBytes += sign * bytes;
      if (sums.backups === 0) this.#byPlace.delete(place);
      else this.#byPlace.set(place, sums);
    }
  }
}
