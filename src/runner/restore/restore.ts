import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, toFailure } from '../../api/failure.ts';
import { placeKindOf } from '../../api/remedies.ts';
import type { RestoreVerdict } from '../../domain/report.ts';
import { runnerFiles, type RestoreTask } from '../../domain/task.ts';
import { findBound, schedulerEnded } from '../../postgres/bound-extension.ts';
import { isoTime } from '../iso-time.ts';
import { makeSecretFolder, type SecretFolder } from '../secret-folder.ts';
import { withRemedy } from '../with-remedy.ts';
import type { Workshop } from '../workshop.ts';
import { checkInputs } from './plan/check-inputs.ts';
import { checkRoles, extensionsOf } from './plan/check-needs.ts';
import { checkTargets, type TargetPlan } from './target/check-target.ts';
import { chooseMeans } from './plan/choose-means.ts';
import { chooseLikeness } from './swap/choose-likeness.ts';
import { tellRefused } from './tell/count-refusals.ts';
import { createRoles, takeBackRoles, tellRoles, type CreatedRoles } from './load/create-roles.ts';
import { refuseChanged, tellRecovered, untried } from './target/earlier-try.ts';
import { logWords } from './tell/log-words.ts';
import { makeTools } from './plan/make-tools.ts';
import { noneLeft, withoutCopy } from './source/next-copy.ts';
import { openTarget, type OpenTarget } from './target/open-target.ts';
import { prepareInput, type PreparedInput } from './plan/prepare-input.ts';
import { restoreBeside, type BesidePart } from './restore-beside.ts';
import { restoreInPlace } from './restore-in-place.ts';
import { openProgress, type RestoreProgress } from './tell/restore-progress.ts';
import {
  judgeFailed,
  judgeInPart,
  judgeRestored,
  sumUp,
  tellDatabase,
  type DatabaseEnd,
  type TargetOutcome,
} from './tell/restore-verdict.ts';
import { adviseConflict } from './tell/advise-conflict.ts';
import { checkChecks } from './prove/run-checks.ts';
import { settle, type Settled } from './target/settle.ts';
import type { RestoreSource } from './source/source.ts';
import { Unsettled } from './unsettled.ts';

/**
 * One restore, from the first look at the server to the swap. Every end is a verdict with a result line for each target; nothing is
 * thrown. Unless it says otherwise the targets are as they were, and nothing is left beside them. A copy of a backup that turns out
 * to be damaged, or whose place goes away, is followed by the next one, from the beginning.
 */
export async function restore(task: RestoreTask, workshop: Workshop): Promise<RestoreVerdict> {
  const { clock } = workshop;
  return restoreFrom(task, workshop, { startedAt: isoTime(clock), startMs: clock.monotonicMs(), passedOver: [] });
}

/** What came before the copy that is tried. */
interface Before {
  readonly startedAt: string;
  readonly startMs: number;
  readonly passedOver: readonly { readonly location: string; readonly failure: Failure }[];
}

async function restoreFrom(task: RestoreTask, workshop: Workshop, before: Before): Promise<RestoreVerdict> {
  const { clock, lines, log, signal, attempt } = workshop;
  const { startedAt, startMs, passedOver } = before;
  const state: RunState = {
    working: undefined,
    progress: undefined,
    source: undefined,
    target: undefined,
    secrets: undefined,
    settled: undefined,
  };
  const folder = join(workshop.root, runnerFiles.work, 'restore');
  const totals = () => ({
    attempt,
    startedAt,
    completedAt: isoTime(clock),
    source: state.source?.chosen,
    readBytes: state.source?.readBytes() ?? 0,
    plainBytes: state.progress?.loaded.bytes() ?? 0,
    resultLines: lines.resultLines(),
  });
  const passedNotes = passedOver.map(
    ({ location, failure }) => `the copy in ${location} could not be used: ${failure.reason}: ${failure.message}`,
  );
  const tell = (end: DatabaseEnd): void =>
    tellDatabase(lines, {
      ...end,
      notes: [...passedNotes, ...end.notes],
      durationMilliseconds: clock.monotonicMs() - startMs,
    });
  const fail = (failure: Failure, target: TargetOutcome): RestoreVerdict => {
    logWords(failure, log);
    const place = task.source.backup?.copies[0]?.location.place ?? task.source.file?.location.place;
    const advised = adviseConflict(failure, task, state.source?.chosen);
    return judgeFailed(totals(), target, withRemedy(advised, place && placeKindOf(place)));
  };
  let next: { readonly task: RestoreTask; readonly before: Before };
  try {
    const ended = await work(task, folder, state, workshop);
    if (ended.kind === 'recovered') return tellRecovered(ended.settled, tell, totals);
    if (ended.kind === 'unchanged') return judgeRestored(totals(), 'Untouched', { unchanged: true });
    for (const end of ended.ends) tell(end);
    const failure = ended.ends.find((end) => end.failure !== undefined)?.failure;
    const outcome = sumUp(ended.ends);
    if (failure !== undefined) return fail(failure, outcome);
    const refused = tellRefused(ended.ends.flatMap((end) => end.refused ?? []));
    return refused === undefined ? judgeRestored(totals(), outcome) : judgeInPart(totals(), outcome, refused);
  } catch (error) {
    const unsettled = error instanceof Unsettled;
    const last = causeOf(error, signal);
    if (last.reason === 'Internal') log.error('internal error', { stack: stackOf(error) });
    const location = state.source?.chosen.location;
    const others = unsettled ? undefined : withoutCopy(task, location, last);
    if (others === undefined || location === undefined) {
      const failure = noneLeft(
        passedOver.map((passed) => passed.failure),
        last,
      );
      const ends = untried(task.target, state.settled);
      for (const end of ends) {
        const guilty = state.working === undefined || state.working.target === end.target;
        tell({ ...end, failure: guilty ? failure : undefined });
      }
      return { ...fail(failure, sumUp(ends)), ...(unsettled ? { unsettled: true } : {}) };
    }
    log.warn('this copy cannot be used; the next one is tried', {
      location,
      reason: last.reason,
      error: last.message,
    });
    next = { task: others, before: { ...before, passedOver: [...passedOver, { location, failure: last }] } };
  } finally {
    await state.progress?.stop();
    await state.target?.close();
    await state.source?.close();
    await state.secrets?.remove();
    await rm(folder, { recursive: true, force: true });
  }
  return restoreFrom(next.task, workshop, next.before);
}

/** What is open, and where it is; closed by `restoreFrom`. */
interface RunState {
  secrets: SecretFolder | undefined;
  working: TargetPlan | undefined;
  progress: RestoreProgress | undefined;
  source: RestoreSource | undefined;
  target: OpenTarget | undefined;
  /** What an earlier try had done. */
  settled: Settled | undefined;
}

type WorkEnd =
  | { readonly kind: 'recovered'; readonly settled: Settled }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'done'; readonly ends: readonly DatabaseEnd[] };

async function work(task: RestoreTask, folder: string, state: RunState, workshop: Workshop): Promise<WorkEnd> {
  const { signal, log } = workshop;
  checkChecks(task);
  const target = await openTarget(task, workshop, signal);
  state.target = target;
  log.info('server reached', { server: target.facts.version });
  const settled = await settle(task.request, task.target.databases, target, workshop);
  state.settled = settled;
  if (settled.outcome === 'Restored') return { kind: 'recovered', settled };
  refuseChanged(settled);
  const done = settled.databases.filter(({ outcome }) => outcome === 'Restored');
  const plans = (await checkTargets(task, target, workshop.attempt)).filter(
    (plan) => !done.some((database) => database.target === plan.target),
  );
  const source = await openSource(task, workshop);
  state.source = source;
  log.info('source chosen', { ...source.chosen, unchanged: source.unchanged });
  if (source.unchanged) return { kind: 'unchanged' };

  state.secrets = await makeSecretFolder(workshop.root, workshop.random);
  const tools = await makeTools(task, target, folder, state.secrets, workshop);
  const means = await chooseMeans(task, target.session);
  const inputs: PreparedInput[] = [];
  for (const plan of plans) {
    state.working = plan;
    const found = source.inputs.find(({ target: name }) => name === plan.target);
    if (found === undefined) throw new Failure('Internal', `the source has nothing for "${plan.target}"`);
    inputs.push(await prepareInput(plan, found.input, task, tools, means, workshop));
  }
  state.working = undefined;
  await checkInputs(inputs, task, target, signal);
  const roles: CreatedRoles = task.options.globals
    ? await createRoles(source, target, task.options, workshop)
    : { names: [], notes: [] };
  try {
    if (task.options.onError !== 'Continue') await checkRoles(inputs, task, target.session);
    const ends = await load(task, inputs, source, target, state, workshop);
    const isUntouched = done.length === 0 && ends.every(({ outcome }) => outcome === 'Untouched');
    if (isUntouched) await takeBackRoles(roles, target, workshop);
    else tellRoles(roles, workshop);
    return {
      kind: 'done',
      ends: [
        ...done,
        ...ends.map((end) => ({ ...end, notes: [...(source.notes ?? []), ...end.notes, ...roles.notes] })),
      ],
    };
  } catch (error) {
    // What may have been swapped may need them.
    if (error instanceof Unsettled) tellRoles(roles, workshop);
    else await takeBackRoles(roles, target, workshop);
    throw error;
  }
}

async function load(
  task: RestoreTask,
  inputs: readonly PreparedInput[],
  source: RestoreSource,
  target: OpenTarget,
  state: RunState,
  workshop: Workshop,
): Promise<readonly DatabaseEnd[]> {
  const progress = openProgress(workshop, inputs.length, estimate(inputs));
  state.progress = progress;
  const onWork = (plan: TargetPlan | undefined): void => {
    state.working = plan;
  };
  const ends =
    task.mode === 'InPlace'
      ? await restoreInPlace(task, inputs, source.chosen, target, progress, workshop, onWork)
      : await beside(task, inputs, source, target, progress, workshop, onWork);
  return ends.map(({ plan, ...end }) => {
    const { input, refusals } = inputs.find((each) => each.plan === plan) ?? {};
    return { ...end, source: input?.database, target: plan.target, refused: refusals?.sum() };
  });
}

async function beside(
  task: RestoreTask,
  inputs: readonly PreparedInput[],
  source: RestoreSource,
  target: OpenTarget,
  progress: RestoreProgress,
  workshop: Workshop,
  onWork: (plan: TargetPlan | undefined) => void,
) {
  const parts: BesidePart[] = [];
  const notes = new Map<TargetPlan, readonly string[]>();
  for (const { plan, input, entries, load, refusals } of inputs) {
    const like = await chooseLikeness(plan, input.facts, task.options, target);
    const refused = (): number => refusals?.sum()?.count ?? 0;
    const home = await findBound(target.session, extensionsOf(entries));
    const isBound = home !== undefined;
    if (home === plan.target && plan.existing !== undefined) notes.set(plan, [schedulerEnded]);
    parts.push({ plan, like, load: () => load(progress, workshop.signal), isBound, refused });
  }
  const ends = await restoreBeside(task, parts, source.chosen, target, progress, workshop, onWork);
  return ends.map((end) => ({
    ...end,
    outcome: 'Restored' as const,
    failure: undefined,
    notes: [...end.notes, ...(notes.get(end.plan) ?? [])],
  }));
}

async function openSource(task: RestoreTask, workshop: Workshop): Promise<RestoreSource> {
  if (task.source.backup !== undefined) {
    const { openBackupSource } = await import('./source/backup-source.ts');
    return openBackupSource(task, workshop);
  }
  const { openFileSource } = await import('./source/file-source.ts');
  return openFileSource(task, workshop);
}

function estimate(inputs: readonly PreparedInput[]): number | undefined {
  let sum = 0;
  for (const { input } of inputs) {
    if (input.expectedBytes === undefined) return undefined;
    sum += input.expectedBytes;
  }
  return sum;
}

function causeOf(error: unknown, signal: AbortSignal): Failure {
  if (!signal.aborted) return toFailure(error instanceof Unsettled ? error.failure : error);
  const reason: unknown = signal.reason;
  if (reason instanceof Failure) return reason;
  return new Failure('Aborted', 'stopped before it was done', { cause: reason });
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}
