import type { InspectTask } from '../../domain/task.ts';
import type { Storage } from '../../storage/storage.ts';

export interface RemainsWork {
  readonly task: InspectTask;
  readonly given: NonNullable<InspectTask['remains']>;
  readonly storage: Storage;
  /** By the place's clock; undefined where nothing may be removed. */
  readonly placeNowMs: number | undefined;
}
