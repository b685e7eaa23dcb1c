import { Failure, toFailure } from '../../api/failure.ts';
import { placeKindOf } from '../../api/remedies.ts';
import { backupFolder, signatureKey } from '../../domain/layout.ts';
import { manifestFormat, printManifest, type Manifest } from '../../domain/manifest.ts';
import type { NoteOf } from '../../domain/note.ts';
import type { BackupVerdict } from '../../domain/report.ts';
import type { BackupTask } from '../../domain/task.ts';
import { bounded } from '../bounded.ts';
import { gravestFailure } from '../gravest-failure.ts';
import { isoTime } from '../iso-time.ts';
import type { Workshop } from '../workshop.ts';
import { judgeCommitted, judgeFailed, type FailedPart } from './backup-verdict.ts';
import { cleanUp } from './clean-up.ts';
import { clearAttempts } from './clear-attempts.ts';
import { commit } from './commit.ts';
import {
  describeAdopted,
  describeInLog,
  describeInManifest,
  describeNotes,
  readNotes,
  sayFailure,
} from './database-outcome.ts';
import { Destination } from './destination.ts';
import { openCipher } from './open-cipher.ts';
import { openSigner, type Signer } from './open-signer.ts';
import { dumpDatabases, type DumpedParts } from './dump-databases.ts';
import { openBothSides } from './open-both-sides.ts';
import { selectDatabases } from './select-databases.ts';
import type { Source } from './source.ts';
import { requireLive, storeSmall } from './store-artifact.ts';

/** A best-effort place does not keep the verdict waiting for as long. */
const commitMilliseconds = { required: 60_000, bestEffort: 20_000 } as const;
/** Kubernetes' own grace is 30 s between SIGTERM and SIGKILL. */
const hurriedMilliseconds = 8_000;
const cleanUpMilliseconds = 20_000;
/** As a database it would need these parentheses in its name; shown beside databases that failed. */
const globalsName = '(globals)';

/**
 * One backup: asks the destinations, dumps, commits, and says what came of it; after that it cleans up. Every end is a verdict; nothing
 * is thrown. Without a commit nothing of this try is left at any place that can still be reached.
 */
export async function backUp(task: BackupTask, workshop: Workshop): Promise<BackupVerdict> {
  const { clock, signal, lines } = workshop;
  const startedAt = isoTime(clock);
  const destinations = task.destinations.map(
    ({ location, required }) => new Destination(location.name, required, placeKindOf(location.place)),
  );
  workshop.afterVerdict(() => tidy(task, destinations, workshop));
  const totals = () => ({ startedAt, completedAt: isoTime(clock), resultLines: lines.resultLines() });
  try {
    const sides = await openBothSides(task, destinations, workshop);
    if ('earlier' in sides) {
      const { earlier } = sides;
      const failedParts = adopt(task, earlier, destinations, workshop);
      const { attempt, plainBytes, storedBytes } = earlier;
      return judgeCommitted(
        {
          ...totals(),
          startedAt: earlier.startedAt,
          completedAt: earlier.completedAt,
          attempt,
          plainBytes,
          storedBytes,
          notes: notesOf(earlier),
        },
        destinations,
        failedParts,
      );
    }
    const { manifest, parts, signedBy } = await dump(task, startedAt, sides.source, destinations, workshop);
    signal.throwIfAborted();
    // From here on it is finished rather than aborted: half a commit would be a copy at one place only.
    await commitEverywhere(manifest, destinations, { ...workshop, ...signedBy });
    requireCopy(destinations);
    const failedParts = tellParts(parts, workshop);
    const { attempt, plainBytes, storedBytes } = manifest;
    return judgeCommitted(
      { ...totals(), attempt, plainBytes, storedBytes, notes: notesOf(manifest) },
      destinations,
      failedParts,
    );
  } catch (error) {
    const failure =
      signal.aborted && !destinations.some(({ copy }) => copy !== undefined) ? abortOf(signal) : toFailure(error);
    if (failure.reason === 'Internal') {
      workshop.log.error('internal error', { stack: error instanceof Error ? error.stack : undefined });
    }
    return judgeFailed({ ...totals(), attempt: workshop.attempt }, destinations, failure);
  }
}

/** Each place by itself: the limit of one is not that of another. */
async function commitEverywhere(
  manifest: Manifest,
  destinations: readonly Destination[],
  workshop: Workshop,
): Promise<void> {
  const { clock, signal } = workshop;
  await Promise.all(
    destinations.map(async (destination) => {
      const milliseconds = destination.required ? commitMilliseconds.required : commitMilliseconds.bestEffort;
      await bounded(clock, milliseconds, (limit) => commit(manifest, [destination], workshop, limit), {
        signal,
        milliseconds: hurriedMilliseconds,
      });
    }),
  );
}

async function dump(
  task: BackupTask,
  startedAt: string,
  source: Source,
  destinations: readonly Destination[],
  given: Workshop,
): Promise<{
  readonly manifest: Manifest;
  readonly parts: DumpedParts;
  readonly signedBy: Pick<Workshop, 'signedBy'>;
}> {
  try {
    const selected = selectDatabases(task.databases, source.databases);
    const signer = await openSigner(task, given, given.signal);
    const cipher = await openCipher(task, given);
    const workshop: Workshop = { ...given, ...(cipher === undefined ? {} : { cipher }) };
    if (cipher !== undefined) await storeSmall(cipher.key, cipher.sealed, task, destinations, workshop);
    const parts = await dumpDatabases(task, source, selected, destinations, workshop);
    requireStored(parts, workshop);
    const manifest = describe(task, startedAt, source, parts, workshop, signer);
    const { signature } = manifest;
    if (signer !== undefined && signature !== undefined) {
      const signed = signer.sign(Buffer.from(printManifest(manifest)));
      await storeSmall(signature.key, signed, task, destinations, workshop);
    }
    return { manifest, parts, signedBy: signer === undefined ? {} : { signedBy: [signer.publicKey] } };
  } finally {
    await source.close();
  }
}

/** @throws Failure the gravest of the databases' when none was dumped: such a run has no manifest */
function requireStored(parts: DumpedParts, workshop: Workshop): void {
  if (parts.databases.some(({ outcome }) => outcome === 'stored')) return;
  const failures = parts.databases.filter((ended) => ended.outcome === 'failed');
  for (const ended of failures) workshop.lines.result(describeInLog(ended));
  const [first, ...rest] = failures.map(({ failure }) => failure);
  if (first === undefined) {
    const skipped = parts.databases.flatMap((ended) =>
      ended.outcome === 'skipped' ? [`${ended.name}: ${ended.why}`] : [],
    );
    throw new Failure('NoDatabases', `every database that was found is skipped; ${skipped.slice(0, 3).join('; ')}`);
  }
  const gravest = gravestFailure([first, ...rest]);
  const name = failures.find(({ failure }) => failure === gravest)?.name ?? '';
  throw new Failure(gravest.reason, `no database could be dumped; ${name}: ${gravest.message}`, {
    ...(gravest.hint === undefined ? {} : { hint: gravest.hint }),
    cause: gravest,
  });
}

function describe(
  task: BackupTask,
  startedAt: string,
  source: Source,
  parts: DumpedParts,
  workshop: Workshop,
  signer: Signer | undefined,
): Manifest {
  const { globals } = parts;
  const artifacts = [
    ...parts.databases.flatMap((ended) => (ended.outcome === 'stored' ? [ended.artifact] : [])),
    ...(globals === undefined ? [] : [globals]),
  ];
  const sum = (digest: 'plain' | 'stored'): number =>
    artifacts.reduce((bytes, artifact) => bytes + artifact[digest].bytes, 0);
  const { name, uid, slot } = task.backup;
  const folder = backupFolder(task.namespace, task.policy.name, name);
  const { cipher } = workshop;
  return {
    format: cipher === undefined ? 1 : manifestFormat,
    backup: { id: name, uid, ...(slot === undefined ? {} : { slot }) },
    policy: task.policy,
    namespace: task.namespace,
    attempt: workshop.attempt,
    startedAt,
    completedAt: isoTime(workshop.clock),
    tools: { pgbackup: workshop.version, pgDump: source.pgDumpVersion },
    server: source.server,
    databases: parts.databases.map((ended) => describeInManifest(ended, workshop.redactor)),
    ...(globals === undefined ? {} : { globals }),
    ...(cipher === undefined ? {} : { encryption: { key: cipher.key, recipients: [...cipher.recipients] } }),
    ...(signer === undefined
      ? {}
      : { signature: { key: signatureKey(folder, workshop.attempt), keyId: signer.keyId } }),
    ...describeNotes(source.notes, workshop.redactor),
    plainBytes: sum('plain'),
    storedBytes: sum('stored'),
  };
}

/** Result lines for a committed run. @returns what is not in it */
function tellParts(parts: DumpedParts, { lines }: Workshop): readonly FailedPart[] {
  const failedParts: FailedPart[] = [];
  for (const ended of parts.databases) {
    lines.result(describeInLog(ended));
    if (ended.outcome === 'failed') failedParts.push(describePart(ended.name, ended.failure));
  }
  const { globalsFailure } = parts;
  if (globalsFailure !== undefined) {
    const { reason, message } = globalsFailure;
    lines.result({ kind: 'database', name: globalsName, outcome: 'failed', reason, detail: message });
    failedParts.push(describePart(globalsName, globalsFailure));
  }
  return failedParts;
}

/** Of everything that a manifest says is stored. */
function notesOf({ notes, databases }: Manifest): readonly NoteOf[] {
  return [
    ...readNotes(notes),
    ...databases.flatMap(({ name, notes: own }) => readNotes(own).map((note) => ({ ...note, database: name }))),
  ];
}

function describePart(name: string, failure: Failure): FailedPart {
  return { name, reason: failure.reason, message: sayFailure(failure) };
}

/** An earlier try committed this backup: what it says is the answer, and places without it wait for repair. */
function adopt(
  task: BackupTask,
  earlier: Manifest,
  destinations: readonly Destination[],
  { lines }: Workshop,
): readonly FailedPart[] {
  for (const destination of destinations) {
    if (!destination.live) continue;
    destination.failed(
      new Failure('DestinationFailed', 'an earlier try stored the backup elsewhere; this place waits for repair'),
    );
  }
  for (const database of earlier.databases) lines.result(describeAdopted(database));
  const failedParts: FailedPart[] = earlier.databases
    .filter(({ outcome }) => outcome === 'failed')
    .map(({ name, reason, message }) => ({ name, reason: reason ?? 'DumpFailed', message: message ?? 'failed' }));
  if (task.dump.globals && earlier.globals === undefined) {
    const failure = new Failure('DumpFailed', 'the earlier try could not dump the globals');
    lines.result({
      kind: 'database',
      name: globalsName,
      outcome: 'failed',
      reason: failure.reason,
      detail: failure.message,
    });
    failedParts.push(describePart(globalsName, failure));
  }
  return failedParts;
}

/** @throws Failure the gravest of the destinations' when the manifest could be stored at none */
function requireCopy(destinations: readonly Destination[]): void {
  if (!destinations.some(({ copy }) => copy !== undefined)) requireLive(destinations);
}

/** Deletes what is not part of a committed backup, in a time of its own, and closes the places. */
async function tidy(task: BackupTask, destinations: readonly Destination[], workshop: Workshop): Promise<void> {
  const committed = new Set(destinations.flatMap(({ copy }) => copy?.attempt ?? []));
  const clean = async (limit: AbortSignal): Promise<void> => {
    await Promise.all(
      destinations.map(async (destination) => {
        await cleanUp(destination, workshop, limit);
        await clearAttempts(task, destination, committed, workshop, limit);
      }),
    );
  };
  const { clock, signal } = workshop;
  await bounded(clock, cleanUpMilliseconds, clean, { signal, milliseconds: hurriedMilliseconds });
  await Promise.all(destinations.map(async ({ storage }) => storage?.close()));
}

function abortOf(signal: AbortSignal): Failure {
  const reason: unknown = signal.reason;
  if (reason instanceof Failure) return reason;
  return new Failure('Aborted', 'stopped before it was done', { cause: reason });
}
