import { Failure } from '../../api/failure.ts';
import type { FailureReason } from '../../api/reasons.ts';
import type { ManifestArtifact } from '../../domain/manifest.ts';
import type { BackupTask } from '../../domain/task.ts';
import { readStamp } from '../../domain/stamp.ts';
import { meter } from '../../pipeline/meter.ts';
import { isOfRestores } from '../../postgres/inspect.ts';
import { Verbatim } from '../../support/redaction.ts';
import type { Workshop } from '../workshop.ts';
import { tellMessages } from './tell-messages.ts';
import { openPace } from './pace.ts';
import { tellProgress, type ProgressSnapshot } from '../progress.ts';
import type { DatabaseOutcome } from './database-outcome.ts';
import type { Destination } from './destination.ts';
import { dumpOne, endOfPart } from './dump-one.ts';
import type { DumpRun } from './dump-run.ts';
import type { SelectedDatabase } from './select-databases.ts';
import type { Source } from './source.ts';
import { storeArtifact } from './store-artifact.ts';

/** How long a server that broke off gets to come back before the others are given up. */
const comeBackMilliseconds = 30_000;

const longSyncMilliseconds = 10_000;

/** Passes by itself, and soon; the dump was not at fault. */
const passing: readonly FailureReason[] = ['ConnectionLost', 'ServerUnreachable', 'RecoveryConflict', 'LockTimeout'];

export interface DumpedParts {
  readonly databases: readonly DatabaseOutcome[];
  readonly globals?: ManifestArtifact;
  readonly globalsFailure?: Failure;
}

/**
 * Dumps one database after the other, then the globals (last, so that they know the owner of everything that was dumped), to all
 * live destinations. A database that fails does not take the others with it, unless the server is gone. One that failed for a reason
 * that passes is tried again after the others, if there is a backup at all without it: else the whole run is tried again.
 * @throws the abort, or the gravest failure of the destinations when none is left
 */
export async function dumpDatabases(
  task: BackupTask,
  source: Source,
  selected: readonly SelectedDatabase[],
  destinations: readonly Destination[],
  given: Workshop,
): Promise<DumpedParts> {
  const { clock, lines, log } = given;
  const passed = meter();
  const sizes = selected.map(({ bytes }) => bytes);
  const estimatedBytes = sizes.includes(undefined)
    ? task.expectedBytes
    : sizes.reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0);
  const pace = openPace({
    deadlineMs: readStamp(task.deadline),
    // What the last run had is nearer to a dump than what the server keeps on its disk.
    totalBytes: task.expectedBytes ?? estimatedBytes,
    passedBytes: () => passed.bytes(),
    nowMs: () => clock.nowMs(),
    bestEffort: new Set(destinations.filter(({ required }) => !required).map(({ location }) => location)),
  });
  const syncing = new Map<string, number>();
  const workshop: Workshop = { ...given, pace, syncing };
  const outcomes = new Map<SelectedDatabase, DatabaseOutcome>();
  let current: string | undefined;
  const stopTelling = tellProgress(clock, lines, () => ({
    plainBytes: passed.bytes(),
    ...(estimatedBytes === undefined ? {} : { estimatedBytes }),
    ...(current === undefined ? {} : { database: current }),
    databasesDone: outcomes.size,
    databasesTotal: selected.length,
    ...describeSyncing(syncing, clock.monotonicMs()),
  }));

  let gone: Failure | undefined;
  const attend = async (failure: Failure): Promise<void> => {
    if (gone !== undefined || (failure.reason !== 'ConnectionLost' && failure.reason !== 'ServerUnreachable')) return;
    if (await source.answers(Math.min(comeBackMilliseconds, task.waitForServerSeconds * 1000))) return;
    gone = new Failure('ServerUnreachable', `the server did not come back: ${failure.message}`, { cause: failure });
  };
  const plansFor: DumpRun['plansFor'] = (name) => {
    if (isOfRestores(name) || (task.databases.exclude ?? []).includes(name)) return 'unwanted';
    if ([...outcomes.values()].some((ended) => ended.name === name)) return 'done';
    return selected.some((database) => database.name === name) ? 'coming' : undefined;
  };
  const run: DumpRun = { task, source, destinations, workshop, passed, plansFor, isGone: () => gone };
  const dump = async (databases: readonly SelectedDatabase[]): Promise<void> => {
    for (const database of databases) {
      current = database.name;
      outcomes.delete(database);
      const ended = await dumpOne(database, run);
      outcomes.set(database, ended);
      if (ended.outcome !== 'failed') continue;
      const { reason, message } = ended.failure;
      log.error('database failed', { database: new Verbatim(ended.name), reason, error: message });
      await attend(ended.failure);
    }
    current = undefined;
  };
  const backIn = async (): Promise<boolean> => {
    if (gone === undefined) return true;
    if (!(await source.answers(task.waitForServerSeconds * 1000))) return false;
    gone = undefined;
    return true;
  };

  try {
    await dump(selected);
    const isStored = (): boolean => [...outcomes.values()].some(({ outcome }) => outcome === 'stored');
    const retries = task.databaseRetries ?? 0;
    for (let retry = 1; retry <= retries && isStored(); retry++) {
      const again = selected.filter((database) => mayPass(outcomes.get(database)));
      if (again.length === 0 || !(await backIn())) break;
      log.info('databases are tried again', { databases: again.length, retry });
      await dump(again);
    }
    const databases = selected.flatMap((database) => outcomes.get(database) ?? []);
    if (!task.dump.globals || !isStored()) return { databases };
    for (let retry = 0; ; retry++) {
      const ended = await dumpGlobals(run);
      if (!('globalsFailure' in ended)) return { databases, ...ended };
      const { globalsFailure } = ended;
      log.error('globals failed', { reason: globalsFailure.reason, error: globalsFailure.message });
      await attend(globalsFailure);
      const mayRetry = retry < retries && passing.includes(globalsFailure.reason) && (await backIn());
      if (!mayRetry) return { databases, globalsFailure };
    }
  } finally {
    await stopTelling();
  }
}

/** A sync is part of the work; one that lasts is what everybody waits for. */
function describeSyncing(
  syncing: ReadonlyMap<string, number>,
  nowMs: number,
): Pick<ProgressSnapshot, 'waiting' | 'detail'> {
  const long = [...syncing].filter(([, sinceMs]) => nowMs - sinceMs >= longSyncMilliseconds);
  if (long.length === 0) return {};
  const each = long.map(([location, sinceMs]) => `${location} syncs for ${Math.round((nowMs - sinceMs) / 1000)} s`);
  return { waiting: 'WaitingForStorage', detail: each.join(', ') };
}

async function dumpGlobals(run: DumpRun): Promise<Omit<DumpedParts, 'databases'>> {
  const { task, source, destinations, workshop, passed } = run;
  const gone = run.isGone();
  if (gone !== undefined) return { globalsFailure: gone };
  const dump = source.dumpGlobals();
  try {
    const artifact = await storeArtifact({ globals: true }, passed.through(dump.bytes), task, destinations, workshop);
    return { globals: { ...artifact, format: 'sql' } };
  } catch (error) {
    return { globalsFailure: endOfPart(error, run) };
  } finally {
    tellMessages(dump, workshop);
  }
}

function mayPass(ended: DatabaseOutcome | undefined): boolean {
  return ended?.outcome === 'failed' && passing.includes(ended.failure.reason);
}
