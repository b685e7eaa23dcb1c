import type { Backup, BackupLocation, BackupPolicy } from '../../api/kinds.ts';
import type { ControllerMode } from '../mode.ts';
import { resultOf } from '../run/outcome.ts';
import { isControlledBy } from '../run/pods.ts';
import type { Read } from '../world/read-object.ts';
import { hasEndedMeanwhile, observeRun, type RunObserved, type RunSources } from '../run/observe-run.ts';
import { backupJobName } from '../../domain/names.ts';
import type { Admission, Turn } from '../admission/admission.ts';
import { printKey } from '../world/keys.ts';

/** All that the plan of a Backup looks at. */
export interface BackupSeen extends RunObserved {
  readonly nowMs: number;
  readonly backup: Read<Backup>;
  readonly policy: Read<BackupPolicy> | undefined;
  readonly locations: ReadonlyMap<string, Read<BackupLocation>>;
  /** Other Backups of a policy that replaces, and that are no imports. */
  readonly siblings: readonly Backup[];
  /** Undefined when it needs none any more. */
  readonly turn: Turn | undefined;
  readonly mode: ControllerMode;
}

/** Undefined when there is no such Backup (any more). */
export async function observeBackup(
  sources: RunSources & { readonly turns: Pick<Admission, 'turnOf'> },
  mode: ControllerMode,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<BackupSeen | undefined> {
  const { world, clock } = sources;
  const before = world.backup(namespace, name)?.object;
  if (before === undefined) return undefined;
  const decided = resultOf(before) !== undefined || before.spec.import !== undefined;
  const jobName = backupJobName(name);
  const about = {
    namespace,
    jobName,
    ownerUid: before.metadata.uid,
    kind: 'backup',
    decided,
    jobWasMade: before.status?.job !== undefined,
    signal,
  } as const;
  let run = await observeRun(sources, about);
  while (hasEndedMeanwhile(run, world.job(namespace, jobName))) run = await observeRun(sources, about);
  // From here on nothing waits: what the plan sees is one moment, and its intents are noted before another look begins.
  const backup = world.backup(namespace, name);
  if (backup === undefined) return undefined;
  const policyName = backup.object.spec.policy;
  const job = world.job(namespace, jobName) ?? run.job;
  const hasJob = job !== undefined && isControlledBy(job, backup.object.metadata.uid);
  const policy = world.policy(namespace, policyName);
  const replaces = !decided && policy?.fault === undefined && policy?.object.spec.concurrencyPolicy === 'Replace';
  const siblings = replaces ? world.backupsOfPolicy(namespace, policyName).map(({ object }) => object) : [];
  return {
    nowMs: clock.nowMs(),
    backup,
    policy,
    locations: world.locationsIn(namespace),
    ...run,
    job,
    siblings: siblings.filter(({ metadata, spec }) => metadata.name !== name && spec.import === undefined),
    turn: decided || hasJob ? undefined : sources.turns.turnOf(printKey('backup', namespace, name)),
    mode,
  };
}
