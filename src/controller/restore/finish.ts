import type { RestoreRequest } from '../../api/kinds.ts';
import type { FailureReason, Reason } from '../../api/reasons.ts';
import { restoreRequestStatus, type RestoreRequestStatus, type restoredOutcomes } from '../../api/restore-request.ts';
import type { CreatedRoles, RestoredDatabase, RestoreVerdict, ResultLine } from '../../domain/report.ts';
import { stamp } from '../../domain/stamp.ts';
import { cutText, setCondition } from '../conditions.ts';
import { describeSize, fitMembers } from '../fit-status.ts';
import { restorePhaseOf } from './outcome.ts';

export interface RestoreEnding {
  readonly status: 'True' | 'False';
  readonly reason: Reason;
  readonly message: string;
}

export interface Finished {
  readonly status: RestoreRequestStatus;
  readonly ending: RestoreEnding;
}

type Outcome = (typeof restoredOutcomes)[number];
type Databases = NonNullable<RestoreRequestStatus['databases']>;

/** What the target is now, for people. */
export const targetStates: Readonly<Record<Outcome, string>> = {
  Untouched: 'the target is as it was',
  Restored: 'the target holds what was restored',
  Changed: 'the target was changed in part',
};

/** The status of a request whose runner has spoken. `results` undefined: the log could not be read, details stay absent. */
export function finishWithVerdict(
  request: RestoreRequest,
  verdict: RestoreVerdict,
  results: readonly ResultLine[] | undefined,
  nowMs: number,
): Finished {
  const roles = results?.filter((line): line is CreatedRoles => line.kind === 'roles').flatMap(({ names }) => names);
  const databases = readDatabases(results) ?? targetsAs(request, verdict.target);
  const ending = judgeVerdict(request, verdict, databases);
  const status = endedStatus(request, ending, verdict.completedAt, nowMs);
  return {
    ending,
    status: fitStatus({
      ...status,
      startedAt: verdict.startedAt,
      source: verdict.source ?? status.source,
      readBytes: verdict.readBytes,
      plainBytes: verdict.plainBytes,
      databases,
      rolesCreated: roles === undefined || roles.length === 0 ? undefined : roles.slice(0, 500),
    }),
  };
}

/** The status of a request whose runner never was, or has said nothing. `target` undefined: nobody knows. */
export function finishSilently(
  request: RestoreRequest,
  failure: { readonly reason: FailureReason; readonly message: string },
  target: Outcome | undefined,
  nowMs: number,
): Finished {
  const state = target === undefined ? 'nobody knows what the target is now' : targetStates[target];
  const message = `${failure.message}; ${state}`;
  const ending: RestoreEnding = { status: 'False', reason: failure.reason, message };
  const databases = target === undefined ? undefined : targetsAs(request, target);
  return { ending, status: fitStatus({ ...endedStatus(request, ending, stamp(nowMs), nowMs), databases }) };
}

/** The runner died in the middle, and a cleanup has found out which targets it had changed. */
export function finishChanged(
  request: RestoreRequest,
  failure: { readonly reason: FailureReason; readonly message: string },
  results: readonly ResultLine[] | undefined,
  nowMs: number,
): Finished {
  const { ending, status } = finishSilently(request, failure, 'Changed', nowMs);
  const databases = readDatabases(results) ?? status.databases;
  return { ending, status: fitStatus({ ...status, databases }) };
}

/** The runner died after the swap, or after the commit in place, and a cleanup has finished what was left of it. */
export function finishRecovered(
  request: RestoreRequest,
  found: {
    readonly message: string;
    readonly source?: RestoreRequestStatus['source'];
    readonly completedAt: string;
    /** How much the server had refused; undefined: nothing. */
    readonly refused?: number | undefined;
    readonly results: readonly ResultLine[] | undefined;
  },
  nowMs: number,
): Finished {
  const message = `the runner left no word (${found.message}), but had restored; ${targetStates.Restored}`;
  const inPart = `${message}, without ${found.refused} entries that the server refused: the log of the runner names them`;
  const ending: RestoreEnding =
    found.refused === undefined
      ? { status: 'True', reason: 'RecoveredAfterSwap', message }
      : { status: 'False', reason: 'RestoredInPart', message: inPart };
  const status = endedStatus(request, ending, found.completedAt, nowMs);
  const databases = readDatabases(found.results) ?? targetsAs(request, 'Restored');
  return { ending, status: fitStatus({ ...status, source: found.source ?? status.source, databases }) };
}

/** Names of the target databases. */
export function targetNames({ spec }: RestoreRequest): readonly string[] {
  const { database, databases } = spec.target;
  return databases?.map(({ target }) => target) ?? (database === undefined ? [] : [database]);
}

function targetsAs(request: RestoreRequest, outcome: Outcome): Databases {
  const { database, databases } = request.spec.target;
  if (databases !== undefined) return databases.map(({ source, target }) => ({ source, target, outcome }));
  return database === undefined ? [] : [{ target: database, outcome }];
}

function endedStatus(
  request: RestoreRequest,
  ending: RestoreEnding,
  completedAt: string,
  nowMs: number,
): RestoreRequestStatus {
  const { progress: _, failure: __, ...before } = request.status ?? {};
  const { generation } = request.metadata;
  const condition = { type: 'Succeeded', observedGeneration: generation, ...ending };
  return {
    ...before,
    conditions: setCondition(before.conditions, condition, nowMs),
    observedGeneration: generation,
    phase: restorePhaseOf(ending),
    completedAt,
  };
}

/** A success needs more than the word: whoever says so must have restored every target, or have found nothing to do. */
function judgeVerdict(request: RestoreRequest, verdict: RestoreVerdict, databases: Databases): RestoreEnding {
  const said = [verdict.message, verdict.hint].filter((part) => part !== undefined).join('; ');
  if (verdict.verdict === 'Failed') {
    const message = `${said || 'the restore failed'}; ${targetStates[verdict.target]}`;
    return { status: 'False', reason: verdict.reason ?? 'Internal', message };
  }
  if (verdict.unchanged === true) {
    return { status: 'True', reason: 'Unchanged', message: said || `${describeSource(verdict)} was restored before` };
  }
  const wanted = targetNames(request);
  const lost = wanted.filter((name) => {
    return databases.find(({ target }) => target === name)?.outcome !== 'Restored';
  });
  if (verdict.target !== 'Restored' || lost.length > 0) {
    const message = `the runner says that it succeeded, but not that it restored ${lost.join(', ') || 'anything'}`;
    return { status: 'False', reason: 'Internal', message: `${message}; ${targetStates[verdict.target]}` };
  }
  if (verdict.verdict === 'PartlyFailed') {
    return { status: 'False', reason: 'RestoredInPart', message: said || 'the server refused a part of it' };
  }
  const message = `restored ${wanted.join(', ')} from ${describeSource(verdict)} (${verdict.plainBytes} bytes)`;
  return { status: 'True', reason: 'Restored', message: said === '' ? message : `${message}; ${said}` };
}

function describeSource({ source }: RestoreVerdict): string {
  const what = source?.backup ?? source?.key ?? 'its source';
  return source?.location === undefined ? what : `${what} at ${source.location}`;
}

/** Undefined when the log does not tell. */
function readDatabases(results: readonly ResultLine[] | undefined): Databases | undefined {
  const lines = results?.filter((line): line is RestoredDatabase => line.kind === 'restored') ?? [];
  return lines.length === 0 ? undefined : lines.map(readDatabase);
}

function readDatabase(line: RestoredDatabase): Databases[number] {
  const { source, target, outcome, reason, detail, previous, notes, refused } = line;
  return {
    // What an archive says of itself may be no name of a database.
    source: source === '' || (source?.length ?? 0) > 63 ? undefined : source,
    target,
    outcome,
    reason,
    message: detail === undefined ? undefined : cutText(detail, 1024),
    previous,
    notes:
      notes === undefined || notes.length === 0 ? undefined : notes.slice(0, 16).map((note) => cutText(note, 1024)),
    refused: refused && {
      count: refused.count,
      entries: refused.entries.map(({ entry, reason: why, message }) => ({
        entry: cutText(entry, 256),
        reason: why,
        message: cutText(message, 1024),
      })),
    },
  };
}

function fitStatus(status: RestoreRequestStatus): RestoreRequestStatus {
  return fitMembers<RestoreRequestStatus>(restoreRequestStatus.shape, {
    ...status,
    plainSize: describeSize(status.plainBytes),
  });
}
