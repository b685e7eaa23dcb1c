import { Failure, toFailure } from '../../api/failure.ts';
import type { ManifestArtifact } from '../../domain/manifest.ts';
import type { BackupTask } from '../../domain/task.ts';
import { meter } from '../../pipeline/meter.ts';
import { Verbatim } from '../../support/redaction.ts';
import { isoTime } from '../iso-time.ts';
import type { Workshop } from '../workshop.ts';
import { tellMessages } from './tell-messages.ts';
import { tellProgress } from '../progress.ts';
import type { DatabaseOutcome } from './database-outcome.ts';
import type { Destination } from './destination.ts';
import type { SelectedDatabase } from './select-databases.ts';
import type { Source } from './source.ts';
import { requireLive, storeArtifact } from './store-artifact.ts';

/** How long a server that broke off gets to come back before the rest is given up. */
const comeBackMilliseconds = 30_000;

export interface DumpedParts {
  readonly databases: readonly DatabaseOutcome[];
  readonly globals?: ManifestArtifact;
  readonly globalsFailure?: Failure;
}

/**
 * Dumps one database after the other, then the globals (last, so that they know the owner of everything that was dumped), to all
 * live destinations. A database that fails does not take the others with it, unless the server is gone.
 * @throws the abort, or the gravest failure of the destinations when none is left
 */
export async function dumpDatabases(
  task: BackupTask,
  source: Source,
  selected: readonly SelectedDatabase[],
  destinations: readonly Destination[],
  workshop: Workshop,
): Promise<DumpedParts> {
  const { clock, lines } = workshop;
  const passed = meter();
  const sizes = selected.map(({ bytes }) => bytes);
  const estimatedBytes = sizes.includes(undefined)
    ? task.expectedBytes
    : sizes.reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0);
  const databases: DatabaseOutcome[] = [];
  let current: string | undefined;
  const stopTelling = tellProgress(clock, lines, () => ({
    plainBytes: passed.bytes(),
    ...(estimatedBytes === undefined ? {} : { estimatedBytes }),
    ...(current === undefined ? {} : { database: current }),
    databasesDone: databases.length,
    databasesTotal: selected.length,
  }));

  let gone: Failure | undefined;
  const attend = async (failure: Failure): Promise<void> => {
    if (gone !== undefined || !isConnectionFailure(failure)) return;
    if (await source.answers(Math.min(comeBackMilliseconds, task.waitForServerSeconds * 1000))) return;
    gone = new Failure('ServerUnreachable', `the server did not come back: ${failure.message}`, { cause: failure });
  };

  try {
    for (const database of selected) {
      current = database.name;
      const began = { startedAt: isoTime(clock), atMs: clock.monotonicMs() };
      const end = () => ({
        name: database.name,
        startedAt: began.startedAt,
        completedAt: isoTime(clock),
        durationMilliseconds: clock.monotonicMs() - began.atMs,
      });
      let said = (): void => undefined;
      try {
        if (gone !== undefined) throw gone;
        const look = await source.look(database.name);
        const dump = source.dump(database.name, look);
        said = () => tellMessages(dump, workshop, database.name);
        const artifact = await storeArtifact(
          { database: database.name, hasTwin: database.hasTwin ?? false },
          passed.through(dump.bytes),
          task,
          destinations,
          workshop,
        );
        said();
        const archiveVersion = dump.archiveVersion();
        databases.push({
          ...end(),
          outcome: 'stored',
          facts: look.facts,
          notes: dump.notes(),
          artifact: { ...artifact, format: 'custom', ...(archiveVersion === undefined ? {} : { archiveVersion }) },
        });
      } catch (error) {
        said();
        const failure = endOfPart(error, destinations, workshop);
        if (failure.reason === 'DatabaseMissing' && !database.named) {
          databases.push({ ...end(), outcome: 'skipped' });
        } else {
          databases.push({ ...end(), outcome: 'failed', failure });
          workshop.log.error('database failed', {
            database: new Verbatim(database.name),
            reason: failure.reason,
            error: failure.message,
          });
          await attend(failure);
        }
      }
    }
    current = undefined;
    if (!task.dump.globals || !databases.some(({ outcome }) => outcome === 'stored')) return { databases };
    const dump = source.dumpGlobals();
    try {
      if (gone !== undefined) throw gone;
      const artifact = await storeArtifact({ globals: true }, passed.through(dump.bytes), task, destinations, workshop);
      tellMessages(dump, workshop);
      return { databases, globals: { ...artifact, format: 'sql' } };
    } catch (error) {
      tellMessages(dump, workshop);
      const globalsFailure = endOfPart(error, destinations, workshop);
      workshop.log.error('globals failed', { reason: globalsFailure.reason, error: globalsFailure.message });
      return { databases, globalsFailure };
    }
  } finally {
    await stopTelling();
  }
}

/** The failure of one part; what ends the whole run is thrown on. */
function endOfPart(error: unknown, destinations: readonly Destination[], workshop: Workshop): Failure {
  workshop.signal.throwIfAborted();
  requireLive(destinations);
  return toFailure(error);
}

function isConnectionFailure(failure: Failure): boolean {
  return failure.reason === 'ConnectionLost' || failure.reason === 'ServerUnreachable';
}
