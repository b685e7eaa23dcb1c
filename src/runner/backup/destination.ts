import type { Failure } from '../../api/failure.ts';
import type { PlaceKind } from '../../api/remedies.ts';
import type { Storage } from '../../storage/storage.ts';
import { withRemedy } from '../with-remedy.ts';

/** A committed copy of the backup at a destination. */
export interface StoredCopy {
  /** Bytes of all its volumes and the manifest. */
  readonly bytes: number;
  readonly manifestSha256: string;
  /** The try whose volumes it names. */
  readonly attempt: string;
}

/**
 * One place of a run and what became of it. It is live until it failed or holds the backup; who failed never comes back within the
 * run. It remembers every key that was begun there, because a put that failed may still have left an object (an answer that got lost).
 */
export class Destination {
  readonly location: string;
  readonly required: boolean;
  readonly kind: PlaceKind | undefined;
  #storage: Storage | undefined;
  #failure: Failure | undefined;
  #copy: StoredCopy | undefined;
  #earlier: Promise<ReadonlySet<string>> | undefined;
  #readBackBytes = 0;
  readonly #begun = new Set<string>();

  constructor(location: string, required: boolean, kind?: PlaceKind) {
    this.location = location;
    this.kind = kind;
    this.required = required;
  }

  get storage(): Storage | undefined {
    return this.#storage;
  }

  get failure(): Failure | undefined {
    return this.#failure;
  }

  get copy(): StoredCopy | undefined {
    return this.#copy;
  }

  /** Bytes of volumes that were read back and were what had been sent. */
  get readBackBytes(): number {
    return this.#readBackBytes;
  }

  get live(): boolean {
    return this.#storage !== undefined && this.#failure === undefined && this.#copy === undefined;
  }

  /** Keys that may exist there and are not part of a committed backup. */
  get begun(): readonly string[] {
    return [...this.#begun];
  }

  /** Tries of this very Backup that left something there before this one began (findEarlier). */
  get earlier(): Promise<ReadonlySet<string>> {
    return this.#earlier ?? Promise.resolve(new Set());
  }

  /** The first look counts: a later one could show a try that came after ours. */
  looksForEarlier(look: () => Promise<ReadonlySet<string>>): void {
    this.#earlier ??= look();
  }

  opened(storage: Storage): void {
    this.#storage = storage;
  }

  /** The first failure counts. It gets the remedy for a place of this kind. */
  failed(failure: Failure): void {
    this.#failure ??= withRemedy(failure, this.kind);
  }

  stored(copy: StoredCopy): void {
    this.#copy = copy;
  }

  /** It has turned out to be none, or not to be its own. */
  forgetCopy(): void {
    this.#copy = undefined;
  }

  proved(bytes: number): void {
    this.#readBackBytes += bytes;
  }

  begin(key: string): void {
    this.#begun.add(key);
  }

  /** The key is gone, or belongs to a committed backup: nothing to clean up any more. */
  settle(key: string): void {
    this.#begun.delete(key);
  }
}
