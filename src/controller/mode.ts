import type { z } from 'zod';
import type { runnerOptions } from '../api/parts.ts';
import type { Limits } from './admission/places.ts';

/** How the controller is meant to behave; the same for all objects. */
export interface ControllerMode {
  /** In a cluster: a directory location needs a claim. Without: directory.path is taken as it is, and claims do not count. */
  readonly claimRequired: boolean;
  /** Nothing is scheduled before the first inspection of each destination ended, or this time has passed since it was made. */
  readonly firstInspectionGateMs?: number | undefined;
  /**
   * Objects do not outlive the process (`pgbackup local`): a policy is older than its object, and slots after its newest run
   * (found in storage) are due although they lie before its creation.
   */
  readonly policiesOutliveObjects: boolean;
  readonly limits: Limits;
  /** Inspections at once. */
  readonly inspections: number;
  /** How long a finished Job is kept after its answer was taken. */
  readonly jobTtlMs: number;
  /** How long a pod may take to start. */
  readonly startBudgetMs: number;
  /** How long a Backup waits for what it names (policy, locations) before it fails. */
  readonly referenceBudgetMs: number;
  /** How long a Backup with deletionPolicy Delete that was deleted waits, before its data goes: so long it can be taken back. */
  readonly deletionGraceMs: number;
  /** Between the two looks at a foreign file: one that still grows is not restored. */
  readonly settleSeconds: number;
  readonly runner: RunnerTemplate;
}

/** What all runners' pods share. */
export interface RunnerTemplate {
  readonly image: string;
  readonly imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never';
  readonly imagePullSecrets?: readonly string[];
  /** Of runners whose object says nothing of it; `{}` leaves user and groups to the platform. */
  readonly securityContext?: z.infer<ReturnType<typeof runnerOptions>>['securityContext'];
  /** Instead of the image's entrypoint. */
  readonly command?: readonly string[];
  /** Instead of the format's default; for tests. */
  readonly volumeBytes?: number;
}

export const clusterMode = {
  claimRequired: true,
  policiesOutliveObjects: false,
  limits: { runs: 8, restores: 4, perServer: 2 },
  inspections: 4,
  jobTtlMs: 24 * 3_600_000,
  startBudgetMs: 30 * 60_000,
  referenceBudgetMs: 3_600_000,
  deletionGraceMs: 30_000,
  settleSeconds: 10,
} as const satisfies Omit<ControllerMode, 'runner'>;
