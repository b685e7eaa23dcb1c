import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, toFailure } from '../api/failure.ts';
import { failureReasons } from '../api/reasons.ts';
import { reportVersion, type Verdict } from '../domain/report.ts';
import { runnerFiles, type Task, type TaskLocation } from '../domain/task.ts';
import type { ProxySettings } from '../storage/place.ts';
import type { Storage } from '../storage/storage.ts';
import { appendOnlyStorage } from '../storage/append-only.ts';
import { atMost } from '../storage/abortable.ts';
import { limitStorage } from '../storage/limit.ts';
import { openStorage } from '../storage/open.ts';
import type { Clock, Random } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import type { Redactor } from '../support/redaction.ts';
import { isoTime } from './iso-time.ts';
import { findPlace } from './open-location.ts';
import { idleProgress } from './progress.ts';
import { namePaths } from './name-paths.ts';
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
  /** HTTP proxy on the way to S3. */
  readonly proxy?: ProxySettings | undefined;
  /** A place that takes no byte for this long is given up. Default five minutes. */
  readonly stallMilliseconds?: number;
  /** Puts another storage around each one that is opened (tests: faults). */
  readonly decorate?: (storage: Storage, location: string) => Storage;
}

/** One dead connection does not hold the other places for hours. */
const stallMilliseconds = 5 * 60_000;
/** A place that has too much to do is waited for, but says so itself before it is given up as silent. */
const throttledShare = 0.8;
/** What a folder is asked is answered by then, retries included. */
const answerMilliseconds = { usual: 60_000, inspect: 30_000 } as const;
/** For what a driver tidies behind itself. */
const tidyMilliseconds = 5_000;
/**
 * A task ends by itself sooner than this after its abort; this is for what hears of none. Kubernetes' own grace is 30 s, our pods have
 * 60 s, which a restore needs: it drops its scratch databases, or finishes a swap.
 */
const abortMilliseconds = {
  backup: 15_000,
  inspect: 10_000,
  restore: 50_000,
  cleanup: 50_000,
  prune: 15_000,
  copy: 15_000,
} as const;
/** For all that is done after the verdict was written; less when somebody waits for the end. */
const afterVerdictMilliseconds = { usual: 25_000, aborted: 10_000 } as const;

/**
 * Does the one task below the root, and answers: result lines in the log, the verdict in the termination message, and the exit
 * code, which is returned (0, also when only a best-effort destination failed; 3 committed in part; else that of the reason).
 * Never throws because of the task: every end has a verdict.
 */
export async function runTask(options: RunOptions): Promise<number> {
  const { root, clock, log, redactor } = options;
  const startedAt = isoTime(clock);
  const afterVerdict: (() => Promise<void>)[] = [];
  const over = new AbortController();
  let verdict: Verdict;
  try {
    const given = await readTask(root);
    verdict = await Promise.race([
      doTask(given, options, (work) => void afterVerdict.push(work)),
      abandonAfterAbort(given.task.kind, options, over.signal),
    ]);
  } catch (error) {
    const failure = endOf(error, options.signal);
    if (failure.reason === 'Internal') log.error('internal error', { stack: stackOf(error) });
    verdict = await failedVerdict(root, failure, startedAt, isoTime(clock));
  }
  over.abort();
  const code = exitCode(verdict);
  const end = { verdict: verdict.verdict, reason: verdict.reason, exitCode: code, error: verdict.message };
  if (verdict.verdict === 'Succeeded') log.info('done', end);
  else log.error('done', end);
  try {
    // Written in place: the file is a mount of its own in a pod and cannot be replaced.
    const told = { text: (text: string) => namePaths(redactor.text(text), root) };
    await writeFile(options.terminationMessage, printVerdict(verdict, told));
  } catch (error) {
    // The exit code still tells the most of it.
    log.error('the verdict could not be written', { error: toFailure(error).message });
  }
  const tidied = Promise.all(afterVerdict.map(async (work) => work()));
  const tidyLimit = afterVerdictMilliseconds[options.signal.aborted ? 'aborted' : 'usual'];
  if (!(await atMost(tidied, tidyLimit, clock))) log.warn('what could not be tidied in time is left');
  await log.close();
  return code;
}

/** Rejects when the task goes on for too long after an abort: something hears of none. */
async function abandonAfterAbort(kind: Task['kind'], { clock, signal }: RunOptions, over: AbortSignal): Promise<never> {
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true, signal: over });
  });
  await clock.sleep(abortMilliseconds[kind], over);
  throw new Abandoned(signal);
}

/** The end of a task that did not hear of its abort: what it changed last is not known. */
class Abandoned extends Failure {
  constructor(signal: AbortSignal) {
    const { reason, message } = abortedFailure(signal);
    super(reason, `${message}; it did not end by itself and was abandoned`);
  }
}

async function doTask(
  { task, attempt }: GivenTask,
  options: RunOptions,
  afterVerdict: Workshop['afterVerdict'],
): Promise<Verdict> {
  const { root, clock, random, log, redactor, signal } = options;
  const lines = openReportLines(log);
  const stallMs = options.stallMilliseconds ?? stallMilliseconds;
  const folderMs = answerMilliseconds[task.kind === 'inspect' ? 'inspect' : 'usual'];
  const waited = onceIn(clock, 5_000);
  const secrets = openSecrets({
    root,
    waitSeconds: task.waitForSecretSeconds,
    clock,
    redactor,
    onWaiting: (detail) => waited(() => lines.progress({ ...idleProgress, waiting: 'WaitingForSecret', detail })),
  });
  const proxy = options.proxy === undefined ? {} : { proxy: options.proxy };
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
    stallMilliseconds: stallMs,
    signal,
    ...proxy,
    openLocation: async (location: TaskLocation, askSignal = signal) => {
      const { place, credentials } = await findPlace(location, root, secrets, askSignal);
      const tools = { clock, random, throttledMs: stallMs * throttledShare, ...proxy };
      const opened = await openStorage(place, credentials, tools);
      const storage = location.appendOnly === true ? appendOnlyStorage(opened) : opened;
      return limitStorage(options.decorate?.(storage, location.name) ?? storage, {
        // The others say sooner that they are not answered, or are waited for because they have too much to do.
        answerMs: place.directory === undefined ? stallMs : Math.min(folderMs, stallMs),
        // Who reads watches for itself; this is for those who do not.
        stallMs: stallMs * 1.5,
        tidyMs: tidyMilliseconds,
        clock,
      });
    },
    afterVerdict,
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
  if (task.kind === 'prune') {
    const { prune } = await import('./prune/prune.ts');
    return prune(task, workshop);
  }
  if (task.kind === 'copy') {
    const { copyBackups } = await import('./copy/copy-backups.ts');
    return copyBackups(task, workshop);
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
  if (kind === 'restore') {
    const unsettled = failure instanceof Abandoned ? { unsettled: true } : {};
    return { ...end, kind, target: 'Untouched', attempt: '', readBytes: 0, plainBytes: 0, ...unsettled };
  }
  if (kind === 'cleanup') return { ...end, kind, dropped: [] };
  if (kind === 'prune') return { ...end, kind, removed: 0, freedBytes: 0, deferred: 0, refused: 0, failed: 0 };
  if (kind === 'copy') return { ...end, kind, copied: 0, present: 0, sourceDamaged: 0, failed: 0, bytes: 0 };
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

/** Committed in part: whatever the reason, another try would do again what is done. */
const committedInPart = 3;

function exitCode(verdict: Verdict): number {
  if (verdict.verdict === 'Succeeded') return 0;
  if (verdict.kind === 'restore' && verdict.target !== 'Untouched') return committedInPart;
  return failureReasons[verdict.reason ?? 'Internal'].exitCode;
}

function endOf(error: unknown, signal: AbortSignal): Failure {
  if (error instanceof Abandoned || !signal.aborted) return toFailure(error);
  return abortedFailure(signal);
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
