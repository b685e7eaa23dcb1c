import type { BackupLocationStatus } from '../../api/backup-location.ts';
import { annotations, type BackupLocation } from '../../api/kinds.ts';
import type { FailureReason } from '../../api/reasons.ts';
import type { InspectVerdict, ResultLine } from '../../domain/report.ts';
import { stamp } from '../../domain/stamp.ts';
import { setCondition, type ConditionChange } from '../conditions.ts';
import { describeSize } from '../fit-status.ts';
import type { JobSeen } from '../run/pods.ts';
import { readsAll } from './job.ts';
import { addRemains } from './remains.ts';

/** Reasons that say nothing about the place: our own failures. */
const silentReasons = new Set<string>(['Internal', 'TaskInvalid', 'Aborted', 'DeadlineExceeded']);

const passed = {
  ReadWrite: { reason: 'ProbePassed', done: 'written, read back, listed and deleted' },
  AppendOnly: { reason: 'AppendProbePassed', done: 'written, read back and listed' },
  ReadOnly: { reason: 'ReadProbePassed', done: 'listed and read' },
} as const;

/** What a person should know of a place that can be used all the same. */
function describeOffers(offers: BackupLocationStatus['offers']): readonly string[] {
  const { conditions, overwrites, deletes, unfinishedUploads = 0 } = offers ?? {};
  return [
    conditions === 'Ignored' ? 'the place ignores conditions: let only one cluster write here' : '',
    overwrites === 'Replaced' ? 'an existing key can be replaced: turn on versioning or object lock' : '',
    deletes === 'Allowed' ? 'the key may delete, although the location is AppendOnly' : '',
    unfinishedUploads > 0 ? `${unfinishedUploads} uploads cannot be aborted: set a lifecycle rule` : '',
  ].filter((text) => text !== '');
}

/** The status with an inspection's answer in it. */
export function addAnswer(
  location: BackupLocation,
  job: JobSeen,
  verdict: InspectVerdict,
  { results, taken }: { readonly results: readonly ResultLine[]; readonly taken: readonly string[] },
  nowMs: number,
): BackupLocationStatus {
  const { status: before, spec } = location;
  if (verdict.verdict === 'Failed') {
    const text = [verdict.message ?? 'the inspection failed', verdict.hint].filter((part) => part !== undefined);
    const reason = verdict.reason ?? 'Internal';
    const status = silentReasons.has(reason) ? 'Unknown' : 'False';
    const failed = addFailure(location, job, { status, reason, message: text.join('; ') }, nowMs);
    const operation = verdict.failedOperation;
    if (operation === undefined) return failed;
    const errors = { put: 0, get: 0, list: 0, delete: 0, ...before?.probeErrors };
    return { ...failed, probeErrors: { ...errors, [operation]: (errors[operation] ?? 0) + 1 } };
  }
  const so = before?.catalogue;
  // Those of others under names of ours have no objects.
  const others = results.flatMap((line) =>
    line.kind === 'backup' && taken.includes(line.id) ? [line.storedBytes] : [],
  );
  const backups = (so?.backups ?? 0) + verdict.backups - others.length;
  const storedBytes = (so?.storedBytes ?? 0) + verdict.storedBytes - others.reduce((sum, each) => sum + each, 0);
  const damagedManifests = (so?.damagedManifests ?? 0) + verdict.damagedManifests;
  const isComplete = verdict.after === undefined;
  const storedSize = describeSize(storedBytes);
  const shown = isComplete ? { backups, storedBytes, storedSize, damagedManifests } : {};
  const damage = damagedManifests === 0 ? '' : `; ${damagedManifests} manifests cannot be read`;
  const foreign = taken.length === 0 ? '' : `; names taken by other backups: ${taken.slice(0, 5).join(', ')}`;
  const offers = verdict.offers === undefined ? before?.offers : { ...before?.offers, ...verdict.offers };
  const { reason, done } = passed[spec.accessMode];
  return {
    ...before,
    ...common(location, job, nowMs),
    ...shown,
    conditions: setCondition(
      before?.conditions,
      {
        type: 'Available',
        status: 'True',
        reason,
        message: `${[done, ...describeOffers(offers)].join('; ')}${damage}${foreign}`,
        observedGeneration: generationOf(job, location),
      },
      nowMs,
    ),
    phase: 'Available',
    failures: 0,
    // Not every page probes.
    latencies: Object.keys(verdict.latencies).length > 0 ? verdict.latencies : before?.latencies,
    ...(verdict.fullPart === true ? { fullPartTime: stamp(nowMs) } : {}),
    offers,
    remains: addRemains(before?.remains, verdict, results),
    catalogue: isComplete
      ? undefined
      : {
          page: (so?.page ?? 0) + 1,
          after: verdict.after,
          backups,
          storedBytes,
          damagedManifests,
          ...(readsAll(location) ? { readsAll: true } : {}),
        },
  };
}

/** The status after an inspection that said nothing: whether the place is available is not known. */
export function addSilence(
  location: BackupLocation,
  job: JobSeen,
  reason: FailureReason,
  message: string,
  nowMs: number,
): BackupLocationStatus {
  return addFailure(location, job, { status: 'Unknown', reason, message }, nowMs);
}

function addFailure(
  location: BackupLocation,
  job: JobSeen,
  change: Pick<ConditionChange, 'status' | 'reason' | 'message'>,
  nowMs: number,
): BackupLocationStatus {
  const { status: before } = location;
  const condition = { type: 'Available', observedGeneration: generationOf(job, location), ...change };
  return {
    ...before,
    ...common(location, job, nowMs),
    conditions: setCondition(before?.conditions, condition, nowMs),
    phase: change.status === 'False' ? 'Unavailable' : 'Unknown',
    failures: (before?.failures ?? 0) + 1,
  };
}

/** What an answer answers: the generation and the request that its Job was made for. */
function common(location: BackupLocation, job: JobSeen, nowMs: number): BackupLocationStatus {
  return {
    observedGeneration: generationOf(job, location),
    lastProbeTime: stamp(nowMs),
    countedJob: job.metadata.uid,
    probeRequestedAt: job.metadata.annotations?.[annotations.probeRequestedAt]?.slice(0, 1024),
  };
}

function generationOf(job: JobSeen, location: BackupLocation): number {
  const generation = Number(job.metadata.annotations?.[annotations.generation]);
  return Number.isInteger(generation) ? generation : location.metadata.generation;
}
