import { toFailure } from '../../api/failure.ts';
import type { BackupTask } from '../../domain/task.ts';
import { readBack, type SentObject } from '../read-back.ts';
import type { Workshop } from '../workshop.ts';
import type { Destination } from './destination.ts';
import { dropOut } from './drop-out.ts';
import { stallOf } from './stall-of.ts';

/** A place that acknowledged a volume. */
export interface Holder {
  readonly destination: Destination;
  /** The place itself compared a checksum of what it holds with ours. */
  readonly proven: boolean;
}

/**
 * Reads a volume back from every place that holds it, from all at once. A place that gives other bytes, or none, drops out. Never throws;
 * ends early, without a word, when the run is aborted or `stop` says that the volume is not wanted any more.
 */
export async function proveVolume(
  sent: SentObject,
  holders: readonly Holder[],
  how: NonNullable<BackupTask['readBack']>,
  workshop: Workshop,
  stop: AbortSignal,
): Promise<void> {
  if (how === 'None') return;
  const signal = AbortSignal.any([workshop.signal, stop]);
  const prove = async ({ destination, proven }: Holder): Promise<void> => {
    const { storage } = destination;
    if (storage === undefined || (proven && how === 'Sample')) return;
    try {
      const tools = { ...workshop, stallMilliseconds: stallOf(destination, workshop).stallMs };
      destination.proved(await readBack(storage, sent, how, tools, signal));
    } catch (error) {
      if (!signal.aborted) dropOut(destination, toFailure(error), workshop);
    }
  };
  await Promise.all(holders.map(prove));
}
