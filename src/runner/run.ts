import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, toFailure } from '../api/failure.ts';
import { failureReasons } from '../api/reasons.ts';
import { reportVersion, type Verdict } from '../domain/report.ts';
import { runnerFiles, type TaskLocation } from '../domain/task.ts';
import type { Storage } from '../storage/storage.ts';
import { appendOnlyStorage } from '../storage/append-only.ts';
import { openStorage } from '../storage/open.ts';
import type { Clock, Random } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import type { Redactor } from '../support/redaction.ts';
import { isoTime } from './iso-time.ts';
import { findPlace } from './open-location.ts';
import { idleProgress } from './progress.ts';
import { printVerdict } from './print-verdict.ts';
import { readTask, type GivenTask } from './read-task.ts';
import { openReportLines } from './report-lines.ts';
import { openSecrets } from './secrets.ts';
import type { Workshop } from './workshop.ts';

export interface RunOptions {
  /** Folder with task, secrets, volumes and work (`/run/pgbackup` in a pod). */
  readonly root: string;
  /** File that gets the verdict (`/dev/termination-log` in a pod). */
  readonly terminationMessage: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Must redact with `redactor`; closed at the end. */
  readonly log: Log;
  readonly redactor: Redactor;
  /** Aborts on SIGTERM. */
  readonly signal: AbortSignal;
  /** Folders with PostgreSQL's client programs, one major each. */
  readonly programDirs: readonly string[];
  /** Version of this program. */
  readonly version: string;
  /** A place that takes no byte for this long is given up. Default five minutes. */
  readonly stallMilliseconds?: number;
  /** Puts another storage around each one that is opened (tests: faults). */
  readonly decorate?: (storage: Storage, location: string) => Storage;
}

/** One dead connection does not hold the other places for hours. */
const stallMilliseconds = 5 * 60_000;
/** A place that has too much to do is waited for, but says so itself before it is given up as silent. */
const throttledShare = 0.8;

/**
 * Does the one task below the root, and answers: result lines in the log, the verdict in the termination message, and the exit
 * code, which is returned (0, also when only a best-effort destination failed; 3 committed in part; else that of the reason).
 * Never throws because of the task: every end has a verdict.
 */
export async function runTask(options: RunOptions): Promise<number> {
  const { root, clock, log, redactor } = options;
  const startedAt = isoTime(clock);
  let verdict: Verdict;
  try {
    const given = await readTask(root);
    verdict = await doTask(given, options);
  } catch (error) {
    const failure = options.signal.aborted ? abortedFailure(options.signal) : toFailure(error);
    if (failure.reason === 'Internal') log.error('internal error', { stack: stackOf(error) });
    verdict = await failedVerdict(root, failure, startedAt, isoTime(clock));
  }
  const code = exitCode(verdict);
  const end = { verdict: verdict.verdict, reason: verdict.reason, exitCode: code, error: verdict.message };
  if (verdict.verdict === 'Succeeded') log.info('done', end);
  else log.error('done', end);
  try {
    // Written in place: the file is a mount of its own in a pod and cannot be replaced.
    await writeFile(options.terminationMessage, printVerdict(verdict, redactor));
  } catch (error) {
    // The exit code still tells the most of it.
    log.error('the verdict could not be written', { error: toFailure(error).message });
  }
  await log.close();
  return code;
}

async function doTask({ task, attempt }: GivenTask, options: RunOptions): Promise<Verdict> {
  const { root, clock, random, log, redactor, signal } = options;
  const lines = openReportLines(log);
  const waited = onceIn(clock, 5_000);
  const secrets = openSecrets({
    root,
    waitSeconds: task.waitForSecretSeconds,
    clock,
    redactor,
    onWaiting: (detail) => waited(() => lines.progress({ ...idleProgress, waiting: 'WaitingForSecret', detail })),
  });
  const workshop: Workshop = {
    root,
    clock,
    random,
    log,
    lines,
    redactor,
    secrets,
    programDirs: options.programDirs,
    version: options.version,
    attempt,
    stallMilliseconds: options.stallMilliseconds ?? stallMilliseconds,
    signal,
    openLocation: async (location: TaskLocation) => {
      const { place, credentials } = await findPlace(location, root, secrets, signal);
      const tools = { clock, random, throttledMs: workshop.stallMilliseconds * throttledShare };
      const opened = await openStorage(place, credentials, tools);
      const storage = location.appendOnly === true ? appendOnlyStorage(opened) : opened;
      return options.decorate?.(storage, location.name) ?? storage;
    },
  };
  log.info('started', { task: task.kind, namespace: task.namespace, attempt, version: options.version });
  // Lazily: an inspection needs none of what a dump needs, and memory is counted.
  if (task.kind === 'backup') {
    const { backUp } = await import('./backup/back-up.ts');
    return backUp(task, workshop);
  }
  if (task.kind === 'restore') {
    const { restore } = await import('./restore/restore.ts');
    return restore(task, workshop);
  }
  if (task.kind === 'cleanup') {
    const { cleanUp } = await import('./restore/clean-up.ts');
    return cleanUp(task, workshop);
  }
  const { inspectLocation } = await import('./inspect/inspect-location.ts');
  return inspectLocation(task, workshop);
}

/** A verdict for an end that the task itself did not come to. */
async function failedVerdict(root: string, failure: Failure, startedAt: string, completedAt: string): Promise<Verdict> {
  const end = {
    v: reportVersion,
    verdict: 'Failed',
    reason: failure.reason,
    message: failure.message,
    ...(failure.hint === undefined ? {} : { hint: failure.hint }),
    startedAt,
    completedAt,
    resultLines: 0,
  } as const;
  const kind = await kindOfTask(root);
  if (kind === 'inspect') {
    return { ...end, kind, latencies: {}, backups: 0, storedBytes: 0, damagedManifests: 0 };
  }
  if (kind === 'restore') return { ...end, kind, target: 'Untouched', attempt: '', readBytes: 0, plainBytes: 0 };
  if (kind === 'cleanup') return { ...end, kind, dropped: [] };
  return { ...end, kind: 'backup', attempt: '', plainBytes: 0, storedBytes: 0, destinations: [] };
}

/** What the task is for, if that much can be read of it. */
async function kindOfTask(root: string): Promise<string | undefined> {
  try {
    const content: unknown = JSON.parse(await readFile(join(root, runnerFiles.task), 'utf8'));
    if (typeof content !== 'object' || content === null || !('kind' in content)) return undefined;
    return typeof content.kind === 'string' ? content.kind : undefined;
  } catch {
    return undefined;
  }
}

function exitCode(verdict: Verdict): number {
  if (verdict.verdict === 'Succeeded') return 0;
  return failureReasons[verdict.reason ?? 'Internal'].exitCode;
}

function abortedFailure(signal: AbortSignal): Failure {
  const reason: unknown = signal.reason;
  if (reason instanceof Failure) return reason;
  return new Failure('Aborted', 'stopped before it was done', { cause: reason });
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}

function onceIn(clock: Clock, milliseconds: number): (tell: () => void) => void {
  let lastMs: number | undefined;
  return (tell) => {
    const nowMs = clock.monotonicMs();
    if (lastMs !== undefined && nowMs - lastMs < milliseconds) return;
    lastMs = nowMs;
    tell();
  };
}
