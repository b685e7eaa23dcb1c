import type { RestorePolicy, RestoreRequest } from '../../api/kinds.ts';
import { restoreResults } from '../../api/restore-policy.ts';
import { endedRuns } from '../schedule/run.ts';
import { samples, secondsOf, truthOf, type GaugeSample } from '../metrics/samples.ts';
import { restoreRun } from './restore-run.ts';

/** What is not known is absent, never 0; what counts up is kept in its status. */
export function samplesOfRestorePolicy(
  policy: RestorePolicy,
  requests: readonly RestoreRequest[],
  intervalMs: number | undefined,
): readonly GaugeSample[] {
  const { metadata, spec, status } = policy;
  const names = { namespace: metadata.namespace, policy: metadata.name };
  const runs = requests.map((request) => restoreRun(policy, request)).filter(({ isOwn }) => isOwn);
  const [last] = endedRuns(runs);
  const made = runs.filter(({ result }) => result === undefined).map(({ createdAt }) => createdAt / 1000);
  return [
    ...samples({ ...names, schedule: spec.schedule, timezone: spec.timeZone }, { restore_policy_info: 1 }),
    ...samples(names, {
      restore_policy_suspended: spec.suspend ? 1 : 0,
      restore_policy_ready: truthOf(policy, 'Ready'),
      restore_policy_healthy: truthOf(policy, 'Healthy'),
      restore_policy_expected_interval_seconds: intervalMs === undefined ? undefined : intervalMs / 1000,
      restore_policy_next_run_timestamp_seconds: secondsOf(status?.nextScheduleTime),
      restore_policy_created_timestamp_seconds: secondsOf(metadata.creationTimestamp),
      last_restore_success_timestamp_seconds: secondsOf(status?.lastSuccessTime),
      last_restore_attempt_timestamp_seconds: last && last.start / 1000,
      last_restore_attempt_succeeded: last && Number(last.isGood),
      last_restore_duration_seconds: status?.lastDurationSeconds,
      oldest_active_restore_timestamp_seconds: made.length === 0 ? undefined : Math.min(...made),
      missed_restores_total: status?.missedRuns,
    }),
    ...restoreResults.flatMap((result) =>
      samples({ ...names, result }, { restore_runs_total: status?.runs?.[result] }),
    ),
  ];
}
