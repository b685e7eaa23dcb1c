import type { BackupPolicy } from '../../api/kinds.ts';
import type { Verdict } from '../../domain/report.ts';
import { earliest } from '../action.ts';
import { mayComeYet } from '../run/await-results.ts';
import { deleteJob } from '../run/delete-job.ts';
import type { JobSeen } from '../run/pods.ts';
import { giveUpJob, shouldRebuild, type Origin } from '../run/rebuild.ts';
import { judgeRun } from '../run/run-state.ts';
import { addFailure } from './add-failure.ts';
import type { PlacePlan } from './plan-places.ts';
import type { UpkeepEntry } from './due.ts';
import { waits } from './waits.ts';
import type { PlaceSeen, UpkeepSeen } from './observe-places.ts';

/** A Job that goes on, or ended without a word, makes a plan; one that has spoken has a verdict. */
export function judgePlaceJob<Entry extends UpkeepEntry, Kind extends 'prune' | 'copy'>(
  { policy, nowMs, mode }: Pick<UpkeepSeen<unknown, Entry>, 'nowMs' | 'mode'> & { readonly policy: BackupPolicy },
  { run }: Pick<PlaceSeen<unknown, Entry>, 'run'>,
  kind: Kind,
  before: Entry,
  job: JobSeen,
  /** What it would be made from now. */
  origin: Origin | undefined,
): { readonly verdict: Extract<Verdict, { kind: Kind }> } | { readonly plan: PlacePlan<Entry> } {
  const { pods, progress, trouble, results } = run;
  const state = judgeRun({ nowMs, kind, job, pods, progress, trouble, startBudgetMs: mode.startBudgetMs });
  if (state.phase === 'going') {
    const goes = job.metadata.deletionTimestamp !== undefined;
    if (!goes && shouldRebuild(state.reason, job, origin, undefined)) {
      return { plan: { entry: before, after: giveUpJob(policy, job), wakeAt: nowMs + waits.busy } };
    }
    return { plan: { entry: before, wakeAt: earliest(state.recheckAt, nowMs + waits.pod) } };
  }
  if (state.phase === 'failed') {
    const stop = state.stop ? [deleteJob(job, 'Background')] : [];
    return { plan: { entry: addFailure(before, job, state.reason, state.message), after: stop, wakeAt: nowMs } };
  }
  const { verdict } = state;
  if (!isOf(verdict, kind)) return { plan: { entry: before, wakeAt: nowMs + waits.pod } };
  if (mayComeYet(state.pod, verdict, results, nowMs)) return { plan: { entry: before, wakeAt: nowMs + 5000 } };
  return { verdict };
}

function isOf<Kind extends Verdict['kind']>(verdict: Verdict, kind: Kind): verdict is Extract<Verdict, { kind: Kind }> {
  return verdict.kind === kind;
}
