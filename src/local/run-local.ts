import { Failure } from '../api/failure.ts';
import type { Clock } from '../support/clock.ts';
import { choosePolicies, withoutSchedules } from './choose-policies.ts';
import type { LoadedObject } from './loaded-object.ts';
import { startLocalOperator, type LocalOperator, type LocalOperatorOptions } from './operator.ts';
import type { Paint } from './paint.ts';
import { hasSucceeded, renderTable } from './progress.ts';
import { runOnce } from './run-once.ts';
import { showProgress, type Screen } from './show-progress.ts';
import { tellAbort } from './tell-abort.ts';
import { trackTroubles } from './track-troubles.ts';

export interface RunLocalOptions extends LocalOperatorOptions {
  readonly objects: readonly LoadedObject[];
  /** One Backup of each policy now, then the end; else schedules are kept until the signal aborts. */
  readonly once: boolean;
  /** Names of policies; all if empty. */
  readonly policies: readonly string[];
  readonly screen: Screen;
  readonly tablePaint: Paint;
  /** The table at the end. */
  readonly print: (lines: readonly string[]) => void;
  /** Called once everything runs; what it returns is called before the end. */
  readonly onStart?: (operator: LocalOperator) => Promise<() => Promise<void>>;
}

/**
 * The operator without Kubernetes, from start to end. Resolves with the exit code: with `once` 0 if every Backup succeeded, else 1;
 * without it 0 after the signal aborted. @throws Failure for what the user can change, before anything runs
 */
export async function runLocal(options: RunLocalOptions, signal: AbortSignal): Promise<number> {
  const { clock, screen, once } = options;
  const { objects, policies, leftOut } = choosePolicies(options.objects, options.policies, once);
  screen.stream.write(leftOut.map((line) => `${line}\n`).join(''));
  const given = objects.filter(({ object }) => object.kind === 'Backup');
  if (once && policies.length === 0 && given.length === 0) {
    throw new Failure('PolicyMissing', 'there is nothing to back up', {
      hint: 'the files have no BackupPolicy that is not suspended; name a suspended one with --policy',
    });
  }
  const operator = await startLocalOperator(once ? withoutSchedules(objects) : objects, options);
  const shown = new AbortController();
  const tellTroubles = trackTroubles();
  const showing = showProgress(
    screen,
    () => [...operator.backups(), ...operator.restoreRequests()],
    () => tellTroubles([...operator.locations(), ...operator.policies(), ...operator.restorePolicies()]),
    clock,
    shown.signal,
  );
  let finish = async (): Promise<void> => undefined;
  try {
    screen.stream.write(operator.recovery.stranded.map((line) => `${line}\n`).join(''));
    if (options.onStart !== undefined) finish = await options.onStart(operator);
    if (!once) {
      await untilAborted(operator, clock, signal);
      return 0;
    }
    const ended = await runOnce(operator, objects, policies, clock, signal);
    shown.abort();
    await showing;
    options.print(renderTable(ended, options.tablePaint));
    return ended.length > 0 && !signal.aborted && ended.every(hasSucceeded) ? 0 : 1;
  } finally {
    await finish();
    // Runners that are asked to stop say so while there is somebody to see it.
    await operator.stop();
    // Restores that were stopped and cleared up are not cleared up after again at the next start.
    await tellAbort(operator, operator.restoreRequests(), clock.nowMs());
    shown.abort();
    await showing;
  }
}

async function untilAborted(operator: LocalOperator, clock: Clock, signal: AbortSignal): Promise<void> {
  const longMs = 3_600_000;
  const either = AbortSignal.any([signal, operator.broken]);
  while (!either.aborted) await clock.sleep(longMs, either).catch(() => undefined);
  operator.broken.throwIfAborted();
}
