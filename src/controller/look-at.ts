import type { Plan } from './action.ts';
import type { Admission } from './admission/admission.ts';
import { observeDeletion } from './deletion/observe.ts';
import { planDeletion } from './deletion/plan.ts';
import { observeBackup } from './backup/observe.ts';
import { planBackup } from './backup/plan.ts';
import { parseKey } from './world/keys.ts';
import { observeLocation } from './location/observe.ts';
import { planLocation } from './location/plan.ts';
import type { ControllerMode } from './mode.ts';
import type { RunSources } from './run/observe-run.ts';
import { observePolicy } from './policy/observe.ts';
import { planPolicy } from './policy/plan.ts';
import { repairUpkeep } from './repair/observe.ts';
import { planRepair } from './repair/plan.ts';
import { retentionUpkeep } from './retention/observe.ts';
import { observePlaces } from './upkeep/observe-places.ts';
import { planRetention } from './retention/plan.ts';
import { observeRestorePolicy } from './restore-policy/observe.ts';
import { planRestorePolicy } from './restore-policy/plan.ts';
import { observeRestore } from './restore/observe.ts';
import { planRestore } from './restore/plan.ts';

export interface LookSources extends RunSources {
  readonly turns: Pick<Admission, 'turnOf'>;
}

/** What is to be done about an object (keys.ts). Undefined when there is none (any more). Rejects with KubeError. */
export async function lookAt(
  sources: LookSources,
  mode: ControllerMode,
  key: string,
  signal: AbortSignal,
): Promise<Plan | undefined> {
  const { world, clock } = sources;
  const { kind, namespace, name } = parseKey(key);
  if (kind === 'policy') {
    const seen = observePolicy(world, mode, clock.nowMs(), namespace, name);
    return seen && planPolicy(seen);
  }
  if (kind === 'retention') {
    const seen = await observePlaces(sources, mode, retentionUpkeep, namespace, name, signal);
    return seen && planRetention(seen);
  }
  if (kind === 'repair') {
    const seen = await observePlaces(sources, mode, repairUpkeep, namespace, name, signal);
    return seen && planRepair(seen);
  }
  if (kind === 'backup') {
    const deletion = await observeDeletion(sources, mode, namespace, name, signal);
    if (deletion !== undefined) return planDeletion(deletion);
    const seen = await observeBackup(sources, mode, namespace, name, signal);
    return seen && planBackup(seen);
  }
  if (kind === 'restoreRequest') {
    const seen = await observeRestore(sources, mode, namespace, name, signal);
    return seen && planRestore(seen);
  }
  if (kind === 'restorePolicy') {
    const seen = observeRestorePolicy(world, mode, clock.nowMs(), namespace, name);
    return seen && planRestorePolicy(seen);
  }
  const seen = await observeLocation(sources, mode, namespace, name, signal);
  return seen && planLocation(seen);
}
