import { Failure, toFailure } from '../api/failure.ts';
import { aborted } from './aborted.ts';
import type { Bytes } from './bytes.ts';
import { openBranch, type Branch } from './branch.ts';
import type { Sink, SinkOutcome } from './sink.ts';
import type { Sleeper } from './sleeper.ts';

export interface FanOutOptions {
  /** Chunks that a sink may be behind the source (default 2). They are shared, not copied. */
  readonly chunksAhead?: number;
  /** A sink that neither takes a chunk that waits for it, nor finishes after the last one, for this long is given up. */
  readonly stall?: { readonly limitMs: number; readonly clock: Sleeper };
  /** Told every second which sinks hold up others that have taken all they got; those that it returns are given up. */
  readonly pace?: {
    readonly look: (holding: readonly string[]) => ReadonlyMap<string, Failure>;
    readonly clock: Sleeper;
  };
}

const paceMs = 1000;

/** How often within the shortest limit it is looked whether a sink moves. */
const stallLooks = 4;
const busyPatience = 10;

/**
 * Gives one stream to several sinks at once; the slowest one that is left sets the pace, and memory is bounded by the chunks ahead.
 *
 * - A sink that fails, stalls, or says that it is done before it read to the end, drops out as `failed`; the others go on. When
 *   none is left, the source is ended early.
 * - A failing source, or an abort, is thrown by the body of each sink, and rethrown here after all sinks settled.
 *
 * A sink that stalled is waited for once more as long (to clean up behind itself), and then no longer.
 */
export async function fanOut<R>(
  source: Bytes,
  sinks: readonly Sink<R>[],
  options: FanOutOptions,
  signal: AbortSignal,
): Promise<readonly SinkOutcome<R>[]> {
  let wakePump = (): void => {};
  const chunks = source[Symbol.asyncIterator]();
  const ahead = options.chunksAhead ?? 2;
  const branches = sinks.map((sink) => openBranch(sink, ahead, () => wakePump()));
  const over = new AbortController();
  const { stall } = options;
  const watching =
    stall === undefined
      ? undefined
      : Promise.all(
          branches.map(async (branch, index) => {
            const sink = sinks[index];
            const { stallMs = stall.limitMs, holdMs, isBusy = () => false } = sink ?? {};
            const protectedOnes = branches.filter((other, at) => other !== branch && sinks[at]?.holdMs === undefined);
            const holds = (): boolean => branch.holds() && protectedOnes.some((other) => other.isSated());
            const limits = { stallMs, holdMs: holdMs ?? Infinity, holds: holdMs === undefined ? () => false : holds };
            await watch(branch, { ...limits, isBusy, clock: stall.clock }, over.signal);
          }),
        );
  watching?.catch(() => {});
  const pacing = options.pace === undefined ? undefined : keepPace(branches, options.pace, over.signal);
  pacing?.catch(() => {});

  let broken: { readonly error: unknown } | undefined;
  const breakAll = (error: unknown): void => {
    broken ??= { error };
    for (const branch of branches) branch.fail(broken.error);
    wakePump();
  };
  const onAbort = (): void => {
    breakAll(aborted(signal));
    for (const branch of branches) branch.abort(aborted(signal));
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });

  const live = (): Branch<R>[] => branches.filter((branch) => branch.isLive());
  const pump = async (): Promise<void> => {
    for (;;) {
      if (broken !== undefined || live().length === 0) {
        await chunks.return?.();
        return;
      }
      if (live().some((branch) => branch.isFull())) {
        await new Promise<void>((resolve) => {
          wakePump = resolve;
        });
        continue;
      }
      const next = await chunks.next();
      if (broken !== undefined) continue;
      if (next.done === true) {
        for (const branch of branches) branch.end();
        return;
      }
      if (next.value.length > 0) for (const branch of live()) branch.push(next.value);
    }
  };

  try {
    try {
      await pump();
    } catch (error) {
      breakAll(error);
    }
    const outcomes = await Promise.all(branches.map((branch) => branch.outcome));
    if (broken !== undefined) throw broken.error;
    return outcomes;
  } finally {
    signal.removeEventListener('abort', onAbort);
    over.abort();
    await watching;
    await pacing;
  }
}

async function keepPace(
  branches: readonly Branch<unknown>[],
  { look, clock }: NonNullable<FanOutOptions['pace']>,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    try {
      await clock.sleep(paceMs, signal);
    } catch (error) {
      if (signal.aborted) return;
      throw toFailure(error);
    }
    const live = branches.filter((branch) => branch.isLive());
    const full = live.filter((branch) => branch.isFull());
    const tooSlow = look(full.length < live.length ? full.map(({ name }) => name) : []);
    for (const branch of live) {
      const failure = tooSlow.get(branch.name);
      if (failure !== undefined) branch.giveUp(failure);
    }
  }
}

interface Watch {
  readonly stallMs: number;
  readonly holdMs: number;
  readonly holds: () => boolean;
  readonly isBusy: () => boolean;
  readonly clock: Sleeper;
}

/** Gives a sink up that owes something and does not move. Looks at whether it moved, not at a clock: a pause of us is none of its. */
async function watch(branch: Branch<unknown>, { stallMs, holdMs, holds, isBusy, clock }: Watch, signal: AbortSignal) {
  const lookMs = Math.min(stallMs, holdMs) / stallLooks;
  const stallLimit = Math.round(stallMs / lookMs);
  const holdLimit = holdMs / lookMs;
  let lastMoves = -1;
  let still = 0;
  let held = 0;
  let sinceGivenUp = -1;
  for (;;) {
    try {
      await clock.sleep(lookMs, signal);
    } catch (error) {
      if (signal.aborted) return;
      throw toFailure(error);
    }
    if (sinceGivenUp >= 0) {
      sinceGivenUp += 1;
      if (sinceGivenUp === Math.min(stallLimit, Math.round(holdLimit))) branch.letGo();
      continue;
    }
    const moves = branch.moves();
    const isStill = branch.owes() && moves === lastMoves;
    lastMoves = moves;
    still = isStill ? still + 1 : 0;
    held = isStill && holds() ? held + 1 : 0;
    const busy = isBusy();
    const isStalled = still >= stallLimit * (busy ? busyPatience : 1);
    if (!isStalled && held < (busy ? stallLimit : holdLimit)) continue;
    branch.giveUp(stalled(branch, (isStalled ? still : held) * lookMs, !isStalled));
    sinceGivenUp = 0;
  }
}

function stalled(branch: Branch<unknown>, forMs: number, holdsOthers: boolean): Failure {
  const seconds = Math.round(forMs / 1000);
  const what = branch.isEnded() ? 'did not finish' : 'took no bytes';
  const others = holdsOthers ? ', and required places waited for it' : '';
  return new Failure('StorageUnreachable', `${branch.name} ${what} for ${seconds} s${others}`);
}
