import { Failure, toFailure } from '../../api/failure.ts';
import type { Note } from '../../domain/note.ts';
import { isoTime } from '../iso-time.ts';
import type { DatabaseOutcome } from './database-outcome.ts';
import type { DumpRun } from './dump-run.ts';
import { findLost, mayBeLost } from './find-lost.ts';
import type { SelectedDatabase } from './select-databases.ts';
import { requireLive, storeArtifact } from './store-artifact.ts';
import { tellMessages } from './tell-messages.ts';

const keptWhy =
  'a restore replaced it and kept it (keepPrevious); drop it when it is not needed any more, or name it to back it up';

const replaced: Note = {
  reason: 'DatabaseRenamed',
  message: 'another one took its name when the run went on: what has it now is in the backup',
};

/**
 * Dumps one database to all live destinations. One that nobody named and that is gone, or closed to everybody, is skipped, with the
 * reason; what counts is the server's own list by oid, not what somebody answered to a login.
 * @throws the abort, or the gravest failure of the destinations when none is left
 */
export async function dumpOne(
  database: SelectedDatabase,
  run: DumpRun,
  notes: readonly Note[] = [],
): Promise<DatabaseOutcome> {
  const { clock } = run.workshop;
  const startedAt = isoTime(clock);
  const atMs = clock.monotonicMs();
  const end = () => ({
    name: database.name,
    startedAt,
    completedAt: isoTime(clock),
    durationMilliseconds: clock.monotonicMs() - atMs,
  });
  const lose = (reason: 'DatabaseMissing' | 'DatabaseClosed', why: string, cause?: Failure): DatabaseOutcome =>
    database.named
      ? { ...end(), outcome: 'failed', failure: new Failure(reason, why, { cause }) }
      : { ...end(), outcome: 'skipped', why };

  if (database.isKept === true && !database.named) return { ...end(), outcome: 'skipped', why: keptWhy };
  if (database.closed !== undefined) return lose('DatabaseClosed', database.closed);
  const gone = run.isGone();
  if (gone !== undefined) return { ...end(), outcome: 'failed', failure: gone };
  let failure: Failure;
  try {
    const stored = await store(database, run, notes);
    return { ...end(), ...stored };
  } catch (error) {
    failure = endOfPart(error, run);
  }
  const lost = mayBeLost(failure) ? await findLost(database, run, failure) : undefined;
  // Once: what is replaced again and again is tried again later, if at all.
  if (lost?.is === 'replaced' && notes.length === 0) return dumpOne({ ...database, oid: lost.oid }, run, [replaced]);
  if (lost === undefined || lost.is === 'replaced') return { ...end(), outcome: 'failed', failure };
  if (lost.is === 'gone') return lose('DatabaseMissing', 'it vanished after it was found', failure);
  if (lost.is === 'closed') return lose('DatabaseClosed', lost.why, failure);
  if (lost.is === 'there') return { ...end(), outcome: 'failed', failure: explainThere(database.name, failure) };
  const { name } = lost;
  const why = `it was renamed to "${name}" after it was found`;
  // Dumped under the name that it has now, unless it was asked for by the old one.
  if (database.named) return lose('DatabaseMissing', why, failure);
  switch (run.plansFor(name)) {
    case 'unwanted':
      return lose('DatabaseMissing', `${why}, which is not to be backed up`);
    case 'coming':
      return lose('DatabaseMissing', `${why}, and is backed up under that name`);
    case 'done': {
      const message = `${why}, when another one of that name had been backed up`;
      return { ...end(), outcome: 'failed', failure: new Failure('DatabaseMissing', message, { cause: failure }) };
    }
    default: {
      const message = `it was called "${database.name}" when the run began`;
      // A twin by case may be among the others: its key says which it is.
      return dumpOne({ ...database, name, hasTwin: true }, run, [{ reason: 'DatabaseRenamed', message }]);
    }
  }
}

function explainThere(name: string, failure: Failure): Failure {
  // Names are in the encoding of the database that they were given in.
  const why = name.includes('\uFFFD')
    ? 'its name is not UTF-8, so that nobody can ask for it: rename it (ALTER DATABASE … RENAME) in a session of its encoding, or exclude it'
    : 'whoever answers, perhaps a pooler, has no way to it';
  return new Failure(failure.reason, `${failure.message}; the server has it: ${why}`, { cause: failure });
}

type Stored = Pick<Extract<DatabaseOutcome, { outcome: 'stored' }>, 'outcome' | 'facts' | 'notes' | 'artifact'>;

async function store(
  { name, hasTwin = false }: SelectedDatabase,
  run: DumpRun,
  notes: readonly Note[],
): Promise<Stored> {
  const { task, source, destinations, workshop, passed } = run;
  const look = await source.look(name);
  const dump = source.dump(name, look);
  try {
    const bytes = passed.through(dump.bytes);
    const artifact = await storeArtifact({ database: name, hasTwin }, bytes, task, destinations, workshop);
    const archiveVersion = dump.archiveVersion();
    return {
      outcome: 'stored',
      facts: look.facts,
      notes: [...notes, ...dump.notes()],
      artifact: { ...artifact, format: 'custom', ...(archiveVersion === undefined ? {} : { archiveVersion }) },
    };
  } finally {
    tellMessages(dump, workshop, name);
  }
}

/** The failure of one part; what ends the whole run is thrown on. */
export function endOfPart(
  error: unknown,
  { destinations, workshop }: Pick<DumpRun, 'destinations' | 'workshop'>,
): Failure {
  workshop.signal.throwIfAborted();
  requireLive(destinations);
  return toFailure(error);
}
