import type { Failure } from '../../api/failure.ts';
import type { BackupTask } from '../../domain/task.ts';
import type { Meter } from '../../pipeline/meter.ts';
import type { Workshop } from '../workshop.ts';
import type { Destination } from './destination.ts';
import type { Source } from './source.ts';

/** What all databases of a run share. */
export interface DumpRun {
  readonly task: BackupTask;
  readonly source: Source;
  readonly destinations: readonly Destination[];
  readonly workshop: Workshop;
  readonly passed: Meter;
  /** The server broke off and did not come back. */
  readonly isGone: () => Failure | undefined;
  /** Whether a database of that name is still to be dumped, or has been, or is not wanted. */
  readonly plansFor: (name: string) => 'coming' | 'done' | 'unwanted' | undefined;
}
