import type { RestoreRequest } from '../api/kinds.ts';
import { setCondition } from '../controller/conditions.ts';
import { restorePhaseOf } from '../controller/restore/outcome.ts';
import { restoreJobName } from '../domain/names.ts';
import { parseVerdict, type RestoreVerdict } from '../domain/report.ts';
import type { LocalOperator } from './operator.ts';
import { hasEnded } from './progress.ts';
import { jobNameLabel, podType, type Pod } from './workload-types.ts';

/**
 * Requests that were going on when everything was asked to stop, with what their runners said last: nobody else takes their answers any
 * more. A runner that said nothing was killed, and is cleared up after at the next start; one that was never started changed nothing.
 */
export async function tellAbort(
  { client, forgetRestore }: Pick<LocalOperator, 'client' | 'forgetRestore'>,
  requests: readonly RestoreRequest[],
  nowMs: number,
): Promise<readonly RestoreRequest[]> {
  const { items } = await client.list(podType, {}, new AbortController().signal);
  const pods = items as readonly Pod[];
  return requests.map((request) => {
    if (hasEnded(request)) return request;
    const { namespace, name } = request.metadata;
    const own = pods.filter(
      ({ metadata }) => metadata.namespace === namespace && metadata.labels?.[jobNameLabel] === restoreJobName(name),
    );
    const { ended, isSettled } = endRequest(request, own, nowMs);
    if (isSettled) forgetRestore(request.metadata.uid);
    return ended;
  });
}

function endRequest(
  request: RestoreRequest,
  pods: readonly Pod[],
  nowMs: number,
): { readonly ended: RestoreRequest; readonly isSettled: boolean } {
  const terminated = pods.flatMap(({ status }) => status?.containerStatuses?.[0]?.state.terminated ?? []);
  const verdicts = terminated.flatMap(({ message }): readonly RestoreVerdict[] => {
    const verdict = parseVerdict(message);
    return verdict?.kind === 'restore' ? [verdict] : [];
  });
  const verdict = verdicts.find(({ target }) => target === 'Restored') ?? verdicts.at(-1);
  const started = terminated.some(({ startedAt }) => startedAt !== undefined);
  const { status, reason, message } = judge(verdict, started);
  const outcome = verdict?.target ?? (started ? undefined : 'Untouched');
  const targets = request.spec.target.databases ?? [{ target: request.spec.target.database ?? '' }];
  const ended: RestoreRequest = {
    ...request,
    status: {
      ...request.status,
      phase: restorePhaseOf({ status, reason }),
      conditions: setCondition(request.status?.conditions, { type: 'Succeeded', status, reason, message }, nowMs),
      ...(verdict?.source === undefined ? {} : { source: verdict.source }),
      ...(outcome === undefined ? {} : { databases: targets.map((one) => ({ ...one, outcome })) }),
    },
  };
  return { ended, isSettled: started ? verdict !== undefined && verdict.unsettled !== true : true };
}

function judge(
  verdict: RestoreVerdict | undefined,
  started: boolean,
): { readonly status: 'True' | 'False'; readonly reason: string; readonly message: string } {
  if (verdict?.verdict === 'Succeeded') {
    return { status: 'True', reason: 'Restored', message: 'it was done before it could be stopped' };
  }
  if (verdict !== undefined) {
    return { status: 'False', reason: verdict.reason ?? 'Aborted', message: verdict.message ?? 'it was stopped' };
  }
  if (!started) return { status: 'False', reason: 'Aborted', message: 'it was stopped before anything was done' };
  return {
    status: 'False',
    reason: 'RunnerKilled',
    message:
      'the runner was killed before it could clear up: databases of its own may be left beside the target until the next start',
  };
}
