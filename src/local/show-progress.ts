import type { Writable } from 'node:stream';
import { createLogUpdate } from 'log-update';
import type { Clock } from '../support/clock.ts';
import type { Paint } from './paint.ts';
import { hasEnded, labelOf, renderFigures, renderProgress, renderState, type Run } from './progress.ts';

/** Where progress goes: a terminal whose lines are written over, or lines that stay. */
export interface Screen {
  readonly stream: Writable;
  readonly isTerminal: boolean;
  readonly paint: Paint;
}

const redrawMs = 500;
const figuresEveryMs = 10_000;

/**
 * Shows how the runs of `list` go, and the lines of `news`, until the signal aborts; then what is left of changes is shown, and it
 * resolves.
 */
export async function showProgress(
  screen: Screen,
  list: () => readonly Run[],
  news: () => readonly string[],
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const { stream, isTerminal, paint } = screen;
  const live = isTerminal ? createLogUpdate(stream) : undefined;
  const tellChanges = trackChanges(clock, !isTerminal);
  const draw = (): void => {
    const time = timeOf(clock);
    const lines = [...news().map((line) => `${time}  ${line}`), ...tellChanges(list())];
    if (lines.length > 0) {
      live?.clear();
      stream.write(lines.map((line) => `${line}\n`).join(''));
    }
    live?.(renderProgress(list(), paint).join('\n'));
  };
  while (!signal.aborted) {
    draw();
    await clock.sleep(redrawMs, signal).catch(() => undefined);
  }
  draw();
  live?.clear();
  live?.done();
}

/** Lines that stay: changes of state, and where nothing is written over, figures now and then. */
export function trackChanges(clock: Clock, withFigures: boolean): (runs: readonly Run[]) => readonly string[] {
  const states = new Map<string, string>();
  const toldMs = new Map<string, number>();
  return (runs) =>
    runs.flatMap((run) => {
      const { uid } = run.metadata;
      const time = timeOf(clock);
      const state = renderState(run);
      const known = states.get(uid);
      // What had ended before we looked (found in storage) is no news; a terminal shows what goes on in its bar.
      const isNews = state !== known && !(known === undefined && hasEnded(run));
      states.set(uid, state);
      if (isNews && (withFigures || hasEnded(run))) {
        toldMs.set(uid, clock.monotonicMs());
        return [`${time}  ${labelOf(run)}  ${state}`];
      }
      const figures = withFigures ? renderFigures(run) : undefined;
      if (figures === undefined || clock.monotonicMs() - (toldMs.get(uid) ?? 0) < figuresEveryMs) return [];
      toldMs.set(uid, clock.monotonicMs());
      return [`${time}  ${labelOf(run)}  ${figures.trim()}`];
    });
}

const timeOf = (clock: Clock): string => new Date(clock.nowMs()).toISOString().slice(11, 19);
