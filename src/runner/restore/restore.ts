import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, toFailure } from '../../api/failure.ts';
import type { RestoreVerdict } from '../../domain/report.ts';
import { runnerFiles, type RestoreTask } from '../../domain/task.ts';
import { isoTime } from '../iso-time.ts';
import { makeSecretFolder } from '../secret-folder.ts';
import type { Workshop } from '../workshop.ts';
import { createRoles, withRoles } from './load/create-roles.ts';
import { checkInputs } from './plan/check-inputs.ts';
import { checkRoles } from './plan/check-needs.ts';
import { chooseMeans } from './plan/choose-means.ts';
import { makeTools } from './plan/make-tools.ts';
import { prepareInput, type PreparedInput } from './plan/prepare-input.ts';
import { checkChecks } from './prove/run-checks.ts';
import { restoreBeside } from './restore-beside.ts';
import { restoreInPlace } from './restore-in-place.ts';
import { noneLeft, withoutCopy } from './source/next-copy.ts';
import { openSource } from './source/open-source.ts';
import { checkTargets } from './target/check-target.ts';
import { refuseChanged } from './target/earlier-try.ts';
import { openTarget } from './target/open-target.ts';
import { settle } from './target/settle.ts';
import { openReport, type Before, type RestoreReport } from './tell/restore-report.ts';
import { Unsettled } from './unsettled.ts';
import { takeApart, type SourceWanted, type Wanted } from './wanted.ts';

/**
 * One restore, from the first look at the server to the swap. Every end is a verdict with a result line for each target; nothing is
 * thrown. Unless it says otherwise the targets are as they were, and nothing is left beside them. A copy of a backup that turns out
 * to be damaged, or whose place goes away, is followed by the next one, from the beginning.
 */
export async function restore(task: RestoreTask, workshop: Workshop): Promise<RestoreVerdict> {
  const { clock } = workshop;
  let wanted = takeApart(task);
  let before: Before = { startedAt: isoTime(clock), startMs: clock.monotonicMs(), passedOver: [] };
  for (;;) {
    const end = await restoreCopy(wanted, before, workshop);
    if (end.kind === 'verdict') return end.verdict;
    wanted = { ...wanted, source: end.others };
    before = { ...before, passedOver: [...before.passedOver, end.passedOver] };
  }
}

type CopyEnd =
  | { readonly kind: 'verdict'; readonly verdict: RestoreVerdict }
  | { readonly kind: 'next'; readonly others: SourceWanted; readonly passedOver: Before['passedOver'][number] };

/** What is open, in the order in which it was opened; `restoreCopy` closes it. */
type Open = (() => Promise<unknown>)[];

async function restoreCopy(wanted: Wanted, before: Before, workshop: Workshop): Promise<CopyEnd> {
  const { log, signal } = workshop;
  const report = openReport(wanted, before, workshop);
  const open: Open = [];
  try {
    return { kind: 'verdict', verdict: await takeSteps(wanted, report, open, workshop) };
  } catch (error) {
    const unsettled = error instanceof Unsettled;
    const last = causeOf(error, signal);
    if (last.reason === 'Internal') log.error('internal error', { stack: stackOf(error) });
    const location = report.location();
    const others = unsettled ? undefined : withoutCopy(wanted.source, location, last);
    if (others === undefined || location === undefined) {
      const earlier = before.passedOver.map((passed) => passed.failure);
      return { kind: 'verdict', verdict: report.failed(noneLeft(earlier, last), unsettled) };
    }
    log.warn('this copy cannot be used; the next one is tried', {
      location,
      reason: last.reason,
      error: last.message,
    });
    return { kind: 'next', others, passedOver: { location, failure: last } };
  } finally {
    await report.stop();
    // The end is known: what cannot be closed takes nothing back.
    for (const close of [...open, async () => rm(workFolder(workshop), { recursive: true, force: true })])
      await close().catch((error: unknown) => log.warn('could not be tidied up', { error: toFailure(error).message }));
  }
}

/**
 * The row: open the target, open the source, plan the load, load, prove, swap, tell. Each step is given what it needs of the request
 * and what the steps before it have found. What one throws becomes a verdict, or leads to the next copy, in `restoreCopy`.
 */
async function takeSteps(
  { request, target: at, source: from, load, proof, keepPrevious }: Wanted,
  report: RestoreReport,
  open: Open,
  workshop: Workshop,
): Promise<RestoreVerdict> {
  const { signal, log } = workshop;
  const { databases } = at;
  const { options } = load;
  checkChecks(
    proof.checks,
    databases.map((database) => database.target),
  );

  // Open the target: the server is reached, the databases are locked, and what an earlier try left is settled.
  const target = await openTarget(at, workshop);
  open.push(() => target.close());
  log.info('server reached', { server: target.facts.version });
  const settled = await settle(request, databases, target, workshop);
  report.found(settled);
  if (settled.outcome === 'Restored') return report.recovered(settled);
  refuseChanged(settled);
  const done = settled.databases.filter(({ outcome }) => outcome === 'Restored');
  const plans = (await checkTargets(at, load.mode, target, workshop.attempt)).filter(
    (plan) => !done.some((database) => database.target === plan.target),
  );

  // Open the source.
  const source = await openSource(from, workshop);
  open.push(() => source.close());
  report.chose(source);
  log.info('source chosen', { ...source.chosen, unchanged: source.unchanged });
  if (source.unchanged) return report.unchanged();

  // Plan the load: what can be told of it before anything is made or changed is told here.
  const secrets = await makeSecretFolder(workshop.root, workshop.random);
  open.push(() => secrets.remove());
  const folders = { work: workFolder(workshop), secrets: secrets.path };
  const tools = await makeTools(target, folders, load.isBackup, workshop);
  const means = await chooseMeans(load, target.session);
  const inputs: PreparedInput[] = [];
  for (const plan of plans) {
    report.workOn(plan.target);
    const found = source.inputs.find(({ target: name }) => name === plan.target);
    if (found === undefined) throw new Failure('Internal', `the source has nothing for "${plan.target}"`);
    inputs.push(await prepareInput({ plan, input: found.input }, { ...load, means }, tools, workshop));
  }
  report.workOn(undefined);
  await checkInputs(inputs, load, target, signal);
  const roles = await createRoles(source, options, target, workshop);

  const ends = await withRoles(roles, target, workshop, async () => {
    if (options.onError !== 'Continue') await checkRoles(inputs, load, target.session);
    const progress = report.load(inputs.length, estimate(inputs));
    // Load, prove, swap: in place a proof is part of the load's transaction, and there is nothing to swap.
    const { beforeSql, select } = load;
    const way = { request, source: source.chosen, beforeSql, select, proof };
    const restored =
      load.mode === 'InPlace'
        ? await restoreInPlace(inputs, way, target, progress, workshop)
        : await restoreBeside(inputs, { ...way, options, databases, keepPrevious }, target, progress, workshop);
    const notes = source.notes ?? [];
    return [...done, ...restored.map((end) => ({ ...end, notes: [...notes, ...end.notes, ...roles.notes] }))];
  });

  // Tell.
  return report.ended(ends);
}

/** For lists, heads and archives that are fetched. */
function workFolder({ root }: Workshop): string {
  return join(root, runnerFiles.work, 'restore');
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
