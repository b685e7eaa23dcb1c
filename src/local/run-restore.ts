import type { RestoreRequest } from '../api/kinds.ts';
import { failureReasons, isFailureReason } from '../api/reasons.ts';
import { startLocalOperator, type LocalOperator, type LocalOperatorOptions } from './operator.ts';
import type { RestoreChoice } from './choose-restores.ts';
import type { Paint } from './paint.ts';
import { findSucceeded, hasEnded, hasSucceeded, labelOf, renderState, stripControls } from './progress.ts';
import { renderRestores } from './render-restores.ts';
import { restoreOnce } from './restore-once.ts';
import { showProgress, type Screen } from './show-progress.ts';
import { tellAbort } from './tell-abort.ts';
import { trackTroubles } from './track-troubles.ts';

export interface RunRestoreOptions extends LocalOperatorOptions {
  readonly choice: RestoreChoice;
  readonly screen: Screen;
  readonly tablePaint: Paint;
  /** The table at the end. */
  readonly print: (lines: readonly string[]) => void;
  /** Called once everything runs. */
  readonly onStart?: (operator: LocalOperator) => void;
}

/**
 * Restores without Kubernetes, from start to end: the same controller and runners as in a cluster. Resolves with the exit code: 0 if every
 * request succeeded, else that of the first reason why one did not. After an abort runners have cleared up before it resolves.
 */
export async function runRestore(options: RunRestoreOptions, signal: AbortSignal): Promise<number> {
  const { choice, clock, screen } = options;
  // What is not in the files or in a location now will not come.
  const operator = await startLocalOperator(choice.objects, { ...options, referenceBudgetMs: 0 });
  const shown = new AbortController();
  const tellTroubles = trackTroubles();
  const news: string[] = [];
  const isRecovered = (request: RestoreRequest): boolean =>
    operator.recovery.recovered.some(({ metadata }) => metadata.uid === request.metadata.uid);
  const showing = showProgress(
    screen,
    () => operator.restoreRequests().filter((request) => !(isRecovered(request) && hasEnded(request))),
    () => [...tellTroubles(operator.locations()), ...news.splice(0)],
    clock,
    shown.signal,
  );
  let requests: readonly RestoreRequest[] = [];
  try {
    options.onStart?.(operator);
    screen.stream.write(operator.recovery.stranded.map((line) => `${line}\n`).join(''));
    const tellRecovered = (request: RestoreRequest): void =>
      void news.push(`${labelOf(request)}, which was killed: ${stripControls(renderState(request))}`);
    requests = await restoreOnce(operator, choice.requests, tellRecovered, clock, signal);
  } finally {
    // Runners that are asked to stop clear up, and say so while there is somebody to see it.
    await operator.stop();
    shown.abort();
    await showing;
  }
  if (signal.aborted) requests = await tellAbort(operator, requests, clock.nowMs());
  if (requests.length === 0) screen.stream.write('stopped before anything was restored\n');
  options.print(renderRestores(requests, options.tablePaint));
  return signal.aborted ? failureReasons.Aborted.exitCode : exitCodeOf(requests);
}

function exitCodeOf(requests: readonly RestoreRequest[]): number {
  const failed = requests.filter((request) => !hasSucceeded(request));
  const reasons = failed.map((request) => findSucceeded(request)?.reason ?? '');
  const codes = reasons.map((reason) => (isFailureReason(reason) ? failureReasons[reason].exitCode : 1));
  return codes[0] ?? 0;
}
