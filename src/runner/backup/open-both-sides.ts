import { Failure } from '../../api/failure.ts';
import type { Manifest } from '../../domain/manifest.ts';
import type { BackupTask } from '../../domain/task.ts';
import { atMost, untilAborted } from '../../storage/abortable.ts';
import type { Workshop } from '../workshop.ts';
import type { Destination } from './destination.ts';
import { openDestinations } from './open-destinations.ts';
import { openSource } from './open-source.ts';
import type { Source } from './source.ts';
import { requireLive } from './store-artifact.ts';

/** When the places were waited for, what the server held before is no answer any more. */
const freshMilliseconds = 5_000;
const abandonMilliseconds = 5_000;

export type BothSides = { readonly earlier: Manifest } | { readonly source: Source };

/**
 * Opens the places and, beside that (connecting takes a moment on either side), the server. What the places say counts first: a backup
 * that an earlier try stored needs no server, and a run without a place that can be used fails for that reason.
 * @throws Failure those of requireLive and openSource
 */
export async function openBothSides(
  task: BackupTask,
  destinations: readonly Destination[],
  workshop: Workshop,
): Promise<BothSides> {
  const { clock, log, signal } = workshop;
  const beganMs = clock.monotonicMs();
  const stop = new AbortController();
  const opening = openSource(task, { ...workshop, signal: AbortSignal.any([signal, stop.signal]) });
  const abandon = async (): Promise<void> => {
    stop.abort(new Failure('Aborted', 'the server is not needed'));
    // What it was no longer matters, nor a server that does not let go.
    await atMost(
      opening.then((source) => source.close()),
      abandonMilliseconds,
      clock,
    );
  };
  // Told below, after the places had their say.
  opening.catch(() => undefined);
  try {
    const earlier = await openDestinations(task, destinations, workshop, opening);
    if (earlier !== undefined) {
      await abandon();
      return { earlier };
    }
    requireLive(destinations);
  } catch (error) {
    await abandon();
    throw error;
  }
  const isFresh = clock.monotonicMs() - beganMs <= freshMilliseconds;
  if (!isFresh) await abandon();
  const source = await untilAborted(isFresh ? opening : openSource(task, workshop), signal);
  const { server, pgDumpVersion, databases } = source;
  log.info('server reached', { server: server.version, pgDump: pgDumpVersion, databases: databases.length });
  return { source };
}
