import type { BackupLocationStatus } from '../../api/backup-location.ts';
import { annotations, type BackupLocation } from '../../api/kinds.ts';
import { pastOnly } from '../../domain/clocks.ts';
import type { InspectVerdict } from '../../domain/report.ts';
import { sameValue } from '../../domain/same-value.ts';
import { readStamp } from '../../domain/stamp.ts';
import { earliest, type Action, type CreateAction, type Plan } from '../action.ts';
import { mayComeYet } from '../run/await-results.ts';
import { findCondition, setCondition, type ConditionChange } from '../conditions.ts';
import { deleteAnsweredJobs } from '../run/delete-answered-jobs.ts';
import { deleteJob } from '../run/delete-job.ts';
import { isControlledBy, runnerState, type JobSeen } from '../run/pods.ts';
import { describeFailure } from '../describe-failure.ts';
import { giveUpJob, shouldRebuild } from '../run/rebuild.ts';
import { describeSize } from '../fit-status.ts';
import { resources } from '../resources.ts';
import { judgeRun } from '../run/run-state.ts';
import { catalogue } from './catalogue.ts';
import { createInspectJob, originOfInspection } from './job.ts';
import type { LocationSeen } from './observe.ts';
import { addAnswer, addSilence } from './answer.ts';
import { readCataloguePage } from './catalogue-page.ts';
import { judgeImports } from './judge-imports.ts';
import { findMissed } from './missed.ts';
import { lostManifests } from './remains.ts';
import { findVanished } from './vanished.ts';

/** Objects that one look writes; the next look goes on. */
const writesMax = 100;
const firstRetryMs = 60_000;
const busyMs = 10_000;

/** Inspects a location when it is due, and takes the answer. */
export function planLocation(seen: LocationSeen): Plan {
  const { nowMs, mode, job } = seen;
  const { object: location, fault } = seen.location;
  if (location.metadata.deletionTimestamp !== undefined) return { actions: [] };
  if (fault !== undefined) return refuse(seen, location, 'SpecInvalid', fault);
  const { directory } = location.spec;
  if (mode.claimRequired && directory !== undefined && directory.claimName === undefined) {
    return refuse(seen, location, 'ClaimRequired', 'directory.claimName is not set; a cluster needs a volume');
  }
  const old = deleteAnsweredJobs(seen.jobs, job?.metadata.name, location.status?.countedJob, nowMs, mode.jobTtlMs);
  if (job !== undefined && !isControlledBy(job, location.metadata.uid)) {
    const message = `the Job ${job.metadata.name} belongs to something else`;
    const refused = refuse(seen, location, 'NameTaken', message);
    return { actions: [...refused.actions, ...old.actions], wakeAt: nowMs + firstRetryMs };
  }
  const next = job === undefined ? planNext(seen, location) : planAnswer(seen, location, job);
  const actions = followCopies(seen, location, [...next.actions, ...old.actions]);
  return { actions, wakeAt: earliest(next.wakeAt, old.wakeAt) };
}

/** Its numbers go with the Backup objects, which an inspection corrects; only its first one brings numbers of its own. */
function followCopies(
  { copies: { backups, storedBytes } }: LocationSeen,
  location: BackupLocation,
  actions: readonly Action[],
): readonly Action[] {
  const at = actions.findIndex((action) => action.type === 'set-status' && action.object === location);
  const written = actions[at];
  const status = (written?.type === 'set-status' ? written.status : location.status) as typeof location.status;
  // Nobody knows a number before a catalogue was read to its end.
  const isFirst = status?.backups !== undefined && location.status?.backups === undefined;
  if (status?.backups === undefined || isFirst) return actions;
  const counted = { ...status, backups, storedBytes, storedSize: describeSize(storedBytes) };
  const write = setStatus(location, counted);
  return at < 0 ? [...actions, ...write] : actions.toSpliced(at, 1, ...write);
}

function planNext(seen: LocationSeen, location: BackupLocation): Plan {
  const { nowMs, mode, otherInspections } = seen;
  const missed = findMissed(location, seen.failedThere);
  // While it is known to be away, it is looked at in its turn.
  const isNews = missed !== undefined && findCondition(location.status?.conditions, 'Available')?.status !== 'False';
  const dueAt = isNews ? nowMs : nextInspection(location, nowMs);
  const first = missed === undefined ? firstStatus(seen, location) : missedStatus(seen, location, missed);
  if (dueAt > nowMs) return { actions: setStatus(location, first), wakeAt: dueAt };
  if (otherInspections >= mode.inspections) return { actions: setStatus(location, first), wakeAt: nowMs + busyMs };
  let create: CreateAction;
  try {
    create = createInspectJob(location, mode, seen);
  } catch (error) {
    const { reason, message } = describeFailure(error);
    return refuse(seen, location, reason, message);
  }
  if (seen.refused !== undefined) {
    return planRefused(seen, location, dueAt, create, `the Job is refused: ${seen.refused}`);
  }
  return { actions: [create, ...setStatus(location, first)], wakeAt: nowMs + busyMs };
}

/** It is asked for again each minute. After a while the last answer says nothing any more about what is so now. */
function planRefused(
  seen: LocationSeen,
  location: BackupLocation,
  dueAt: number,
  create: CreateAction,
  message: string,
): Plan {
  const { nowMs, mode } = seen;
  const wakeAt = nowMs + firstRetryMs;
  const since = Math.max(dueAt, pastOnly(readStamp(location.status?.lastProbeTime), nowMs) ?? 0);
  const isOver = location.status?.lastProbeTime !== undefined && nowMs >= since + mode.startBudgetMs;
  if (!isOver) {
    return { actions: [...setStatus(location, waitingStatus(seen, location, 'PodRefused', message)), create], wakeAt };
  }
  const { generation: observedGeneration } = location.metadata;
  const change = { type: 'Available', status: 'Unknown', reason: 'PodRefused', message, observedGeneration } as const;
  const conditions = setCondition(location.status?.conditions, change, nowMs);
  const isNews = findCondition(location.status?.conditions, 'Available')?.reason !== change.reason;
  const tell: Action = { type: 'tell', about: location, level: 'Warning', reason: change.reason, message };
  const write = setStatus(location, { ...location.status, conditions, phase: 'Unknown' });
  return { actions: [...write, ...(isNews ? [tell] : []), create], wakeAt };
}

/** When the next inspection is due: at once for anything new, later after a failure, else in its interval. One that is yet to come says nothing. */
export function nextInspection(location: BackupLocation, nowMs: number): number {
  const { status, spec, metadata } = location;
  const probedAt = pastOnly(readStamp(status?.lastProbeTime), nowMs);
  const requested = metadata.annotations?.[annotations.probeRequestedAt];
  const isNew =
    status?.observedGeneration !== metadata.generation || status.probeRequestedAt !== requestText(requested);
  if (probedAt === undefined || isNew) return 0;
  const failures = status?.failures ?? 0;
  const intervalMs = spec.inspectionIntervalSeconds * 1000;
  if (failures > 0) return probedAt + Math.min(intervalMs, firstRetryMs * 2 ** Math.min(failures - 1, 20));
  return status?.catalogue === undefined ? probedAt + intervalMs : 0;
}

/** As it stands in the status; undefined when nobody asked. */
export function requestText(requested: string | undefined): string | undefined {
  return requested?.slice(0, 1024);
}

function planAnswer(seen: LocationSeen, location: BackupLocation, job: JobSeen): Plan {
  const { nowMs, pods, progress, trouble, mode } = seen;
  const run = { nowMs, kind: 'inspect', job, pods, progress, trouble, startBudgetMs: mode.startBudgetMs } as const;
  const state = judgeRun(run);
  if (state.phase === 'going') {
    const goes = job.metadata.deletionTimestamp !== undefined;
    if (!goes && shouldRebuild(state.reason, job, originOfInspection(location, mode), undefined)) {
      return { actions: giveUpJob(location, job), wakeAt: nowMs + busyMs };
    }
    const podRuns = pods.some((pod) => runnerState(pod)?.running !== undefined);
    return {
      actions: setStatus(location, waitingStatus(seen, location, podRuns ? 'Inspecting' : state.reason, state.message)),
      wakeAt: earliest(state.recheckAt, nowMs + 60_000),
    };
  }
  if (state.phase === 'failed') {
    const status = addSilence(location, job, state.reason, state.message, nowMs);
    const stop = state.stop ? [deleteJob(job, 'Background')] : [];
    return answered(location, status, stop, nowMs);
  }
  if (state.verdict.kind !== 'inspect') return { actions: [], wakeAt: nowMs + firstRetryMs };
  const { verdict } = state;
  if (mayComeYet(state.pod, verdict, seen.results, nowMs)) return { actions: [], wakeAt: nowMs + 5000 };
  return takeAnswer(seen, location, job, verdict);
}

/** Objects first, the location's status last: an answer is taken when all it said is in the cluster. */
function takeAnswer(seen: LocationSeen, location: BackupLocation, job: JobSeen, verdict: InspectVerdict): Plan {
  const { nowMs, results = [] } = seen;
  const found = catalogue(location, results, seen.backupNamed, nowMs, verdict.startedAt);
  const page = readCataloguePage(seen.results, location, job, verdict);
  const vanished = page === undefined ? { actions: [], names: [] } : findVanished(seen, location, page);
  const imports = page === undefined ? [] : judgeImports(seen.imports, page, nowMs);
  const writes = [...found.actions, ...vanished.actions, ...imports];
  if (writes.length > writesMax) return { actions: writes.slice(0, writesMax), wakeAt: nowMs };

  const status = addAnswer(location, job, verdict, { results, taken: found.taken }, nowMs);
  const tells: Action[] = [];
  const damaged = results.filter((line) => line.kind === 'damaged');
  const [first] = damaged;
  if (first !== undefined) {
    const message = `${damaged.length} manifests cannot be read, the first is ${first.key}: ${first.detail}`;
    tells.push({ type: 'tell', about: location, level: 'Warning', reason: 'ManifestInvalid', message });
  }
  if (found.taken.length > 0) {
    const message = `other backups are stored under the names of ${found.taken.slice(0, 5).join(', ')}`;
    tells.push({ type: 'tell', about: location, level: 'Warning', reason: 'NameTaken', message });
  }
  const lost = lostManifests(location, results, seen.backupNamed);
  if (lost.length > 0) {
    const message = `the manifests of ${lost.slice(0, 5).join(', ')} are gone; their volumes are left alone`;
    tells.push({ type: 'tell', about: location, level: 'Warning', reason: 'ManifestInvalid', message });
  }
  if (vanished.names.length > 0) {
    const message = `the data of ${vanished.names.length} backups is no longer there, such as ${vanished.names.slice(0, 5).join(', ')}`;
    tells.push({ type: 'tell', about: location, level: 'Warning', reason: 'BackupVanished', message });
  }
  const created = found.actions.filter(({ type }) => type === 'create').length;
  if (created > 0) {
    const message = `${created} backups were found and are shown as objects`;
    tells.push({ type: 'tell', about: location, level: 'Normal', reason: 'BackupFound', message });
  }
  return answered(location, status, [...writes, ...found.marks], nowMs, tells);
}

function answered(
  location: BackupLocation,
  status: BackupLocationStatus,
  before: readonly Action[],
  nowMs: number,
  tells: readonly Action[] = [],
): Plan {
  const available = findCondition(status.conditions, 'Available');
  const earlier = findCondition(location.status?.conditions, 'Available');
  const isNews = available?.status !== earlier?.status || available?.reason !== earlier?.reason;
  const news: readonly Action[] =
    available === undefined || !isNews
      ? []
      : [
          {
            type: 'tell',
            about: location,
            level: available.status === 'True' ? 'Normal' : 'Warning',
            reason: available.reason,
            message: available.message,
          },
        ];
  // Looked at again at once: the next page, or when the next inspection is due.
  return { actions: [...before, ...setStatus(location, status), ...news, ...tells], wakeAt: nowMs };
}

/** A location that cannot be inspected as it is. */
function refuse({ nowMs }: LocationSeen, location: BackupLocation, reason: string, message: string): Plan {
  const { generation } = location.metadata;
  const change: ConditionChange = {
    type: 'Available',
    status: 'False',
    reason,
    message,
    observedGeneration: generation,
  };
  const before = findCondition(location.status?.conditions, 'Available');
  const status: BackupLocationStatus = {
    ...location.status,
    conditions: setCondition(location.status?.conditions, change, nowMs),
    phase: 'Unavailable',
  };
  const tells: readonly Action[] =
    before?.reason === reason ? [] : [{ type: 'tell', about: location, level: 'Warning', reason, message }];
  return { actions: [...setStatus(location, status), ...tells] };
}

/** A run knew it later than the last inspection. */
function missedStatus(
  { nowMs }: LocationSeen,
  location: BackupLocation,
  missed: ConditionChange,
): BackupLocationStatus {
  const conditions = setCondition(location.status?.conditions, missed, nowMs);
  return { ...location.status, conditions, phase: 'Unavailable' };
}

function firstStatus(seen: LocationSeen, location: BackupLocation): BackupLocationStatus | undefined {
  return waitingStatus(seen, location, 'Inspecting', 'the location is being looked at');
}

/** Before the first answer the condition says what is waited for; afterwards the last answer stands until the next. */
function waitingStatus(
  { nowMs }: LocationSeen,
  location: BackupLocation,
  reason: string,
  message: string,
): BackupLocationStatus | undefined {
  if (location.status?.lastProbeTime !== undefined) return location.status;
  const { generation } = location.metadata;
  const change = { type: 'Available', status: 'Unknown', reason, message, observedGeneration: generation } as const;
  return {
    ...location.status,
    conditions: setCondition(location.status?.conditions, change, nowMs),
    phase: 'Unknown',
  };
}

function setStatus(location: BackupLocation, status: BackupLocationStatus | undefined): readonly Action[] {
  if (status === undefined || sameValue(status, location.status)) return [];
  return [{ type: 'set-status', resource: resources.location, object: location, status }];
}
