import { backupLocationSpec, backupLocationStatus } from './backup-location.ts';
import type { BackupLocationSpec, BackupLocationStatus } from './backup-location.ts';
import { backupPolicySpec, backupPolicyStatus } from './backup-policy.ts';
import type { BackupPolicySpec, BackupPolicyStatus } from './backup-policy.ts';
import { backupSpec, backupStatus } from './backup.ts';
import type { BackupSpec, BackupStatus } from './backup.ts';
import { age, conditionColumn, progressColumn, reasonColumn, type Kind } from './kind.ts';
import { backupNameMaxLength, policyNameMaxLength } from './parts.ts';
import { restorePolicySpec, restorePolicyStatus } from './restore-policy.ts';
import type { RestorePolicySpec, RestorePolicyStatus } from './restore-policy.ts';
import { restoreRequestSpec, restoreRequestStatus } from './restore-request.ts';
import type { RestoreRequestSpec, RestoreRequestStatus } from './restore-request.ts';

export const apiGroup = 'pgbackup.dev';
export const apiVersionName = 'v1beta1';
export const apiVersion = 'pgbackup.dev/v1beta1';

export const backupLocationKind = {
  kind: 'BackupLocation',
  plural: 'backuplocations',
  singular: 'backuplocation',
  shortNames: ['pgbl'],
  description: 'A place that keeps backups: an S3 bucket, a folder on an SFTP server, or a folder on a volume.',
  nameMaxLength: policyNameMaxLength,
  spec: backupLocationSpec,
  status: backupLocationStatus,
  columns: [
    conditionColumn('Available', 'Available'),
    reasonColumn('Available'),
    { name: 'Backups', type: 'integer', jsonPath: '.status.backups', description: 'Committed backups there.' },
    { name: 'Stored', type: 'string', jsonPath: '.status.storedSize', description: 'Their size.' },
    { name: 'Probed', type: 'date', jsonPath: '.status.lastProbeTime', description: 'Time since the last inspection.' },
    age,
  ],
  conditions: [
    {
      type: 'Available',
      description:
        'The last inspection wrote, read back, listed and deleted a key there (ReadOnly: listed and read; AppendOnly: nothing is deleted). False: status says why not.',
    },
  ],
} as const satisfies Kind;

export const backupPolicyKind = {
  kind: 'BackupPolicy',
  plural: 'backuppolicies',
  singular: 'backuppolicy',
  shortNames: ['pgbp'],
  description: 'What is backed up, when, where to, and how.',
  nameMaxLength: policyNameMaxLength,
  spec: backupPolicySpec,
  status: backupPolicyStatus,
  columns: [
    { name: 'Schedule', type: 'string', jsonPath: '.spec.schedule', description: 'When it runs.' },
    conditionColumn('Ready', 'Ready'),
    conditionColumn('Healthy', 'Healthy'),
    reasonColumn('Healthy'),
    {
      name: 'Last Success',
      type: 'date',
      jsonPath: '.status.lastSuccessTime',
      description: 'Time since the last good run.',
    },
    { name: 'Next', type: 'string', jsonPath: '.status.nextScheduleTime', description: 'The next start (UTC).' },
    { name: 'Suspended', type: 'boolean', jsonPath: '.spec.suspend', description: 'Schedule stopped.', priority: 1 },
    {
      name: 'Time Zone',
      type: 'string',
      jsonPath: '.spec.timeZone',
      description: 'Zone of the schedule.',
      priority: 1,
    },
    { name: 'Missed', type: 'integer', jsonPath: '.status.missedRuns', description: 'Slots never run.', priority: 1 },
    age,
  ],
  conditions: [
    { type: 'Ready', description: 'The policy can run: schedule, locations and what it names are in order.' },
    {
      type: 'Healthy',
      description:
        'The last run that ended succeeded, no slot is overdue, and no run is stuck. Unknown before the first run.',
    },
    {
      type: 'Repaired',
      description:
        'With repair: each destination has what another one can give it. False: something keeps it from there. Unknown: not decided yet, or at work.',
    },
    {
      type: 'Pruned',
      description:
        'With retention: what no rule keeps is gone from every destination. False: something keeps it there. Unknown: not decided yet, or at work.',
    },
  ],
} as const satisfies Kind;

export const backupKind = {
  kind: 'Backup',
  plural: 'backups',
  singular: 'backup',
  shortNames: ['pgb'],
  description: 'One run of a BackupPolicy: scheduled, made by hand, or found in a location.',
  nameMaxLength: backupNameMaxLength,
  spec: backupSpec,
  status: backupStatus,
  selectable: ['.spec.policy', '.status.phase'],
  columns: [
    { name: 'Policy', type: 'string', jsonPath: '.spec.policy', description: 'Its policy.' },
    { name: 'Phase', type: 'string', jsonPath: '.status.phase', description: 'Where it stands.' },
    reasonColumn('Succeeded'),
    { name: 'Stored', type: 'string', jsonPath: '.status.storedSize', description: 'Size of one copy.' },
    { name: 'Copies', type: 'string', jsonPath: '.status.copies', description: 'Destinations that hold it, of all.' },
    { name: 'Completed', type: 'date', jsonPath: '.status.completedAt', description: 'Time since its end.' },
    progressColumn,
    {
      name: 'Dumped',
      type: 'string',
      jsonPath: '.status.plainSize',
      description: 'Size of what pg_dump wrote.',
      priority: 1,
    },
    age,
  ],
  conditions: [
    {
      type: 'Succeeded',
      description:
        'True: stored at every required destination. False: it failed, wholly or in part. Unknown: not decided yet; the reason says what it does or waits for.',
    },
  ],
} as const satisfies Kind;

export const restoreRequestKind = {
  kind: 'RestoreRequest',
  plural: 'restorerequests',
  singular: 'restorerequest',
  shortNames: ['pgrr'],
  description:
    'One restore: of a Backup, of a policy’s newest, or of a file that anybody made, to a PostgreSQL server.',
  nameMaxLength: backupNameMaxLength,
  spec: restoreRequestSpec,
  status: restoreRequestStatus,
  selectable: ['.spec.target.database', '.status.phase'],
  columns: [
    { name: 'Phase', type: 'string', jsonPath: '.status.phase', description: 'Where it stands.' },
    reasonColumn('Succeeded'),
    { name: 'Mode', type: 'string', jsonPath: '.spec.mode', description: 'How it restores.' },
    { name: 'Target', type: 'string', jsonPath: '.spec.target.database', description: 'Database (if it is one).' },
    { name: 'Backup', type: 'string', jsonPath: '.status.source.backup', description: 'The backup that was chosen.' },
    {
      name: 'File',
      type: 'string',
      jsonPath: '.status.source.key',
      description: 'The file (or manifest) that was chosen.',
      priority: 1,
    },
    { name: 'Loaded', type: 'string', jsonPath: '.status.plainSize', description: 'Size of what was loaded.' },
    progressColumn,
    { name: 'Completed', type: 'date', jsonPath: '.status.completedAt', description: 'Time since its end.' },
    age,
  ],
  conditions: [
    {
      type: 'Succeeded',
      description:
        'True: restored, checked, and in its place (or unchanged, as the reason says). False: it failed; the message says what the target is now. Unknown: not decided yet; the reason says what it does or waits for.',
    },
  ],
} as const satisfies Kind;

export const restorePolicyKind = {
  kind: 'RestorePolicy',
  plural: 'restorepolicies',
  singular: 'restorepolicy',
  shortNames: ['pgrp'],
  description: 'A schedule that makes RestoreRequests.',
  nameMaxLength: policyNameMaxLength,
  spec: restorePolicySpec,
  status: restorePolicyStatus,
  columns: [
    { name: 'Schedule', type: 'string', jsonPath: '.spec.schedule', description: 'When it runs.' },
    conditionColumn('Ready', 'Ready'),
    conditionColumn('Healthy', 'Healthy'),
    reasonColumn('Healthy'),
    {
      name: 'Last Success',
      type: 'date',
      jsonPath: '.status.lastSuccessTime',
      description: 'Time since the last good restore.',
    },
    { name: 'Next', type: 'string', jsonPath: '.status.nextScheduleTime', description: 'The next start (UTC).' },
    { name: 'Suspended', type: 'boolean', jsonPath: '.spec.suspend', description: 'Schedule stopped.', priority: 1 },
    age,
  ],
  conditions: [
    { type: 'Ready', description: 'The policy can run: schedule, location and what it names are in order.' },
    {
      type: 'Healthy',
      description: 'The last request that ended succeeded, and no slot is overdue. Unknown before the first one.',
    },
  ],
} as const satisfies Kind;

export const kinds = [
  backupLocationKind,
  backupPolicyKind,
  backupKind,
  restoreRequestKind,
  restorePolicyKind,
] as const satisfies readonly Kind[];

/** Metadata as the API server gives it for objects that exist. */
export interface StoredMeta {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly creationTimestamp: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly {
    readonly apiVersion: string;
    readonly kind: string;
    readonly name: string;
    readonly uid: string;
    readonly controller?: boolean;
    readonly blockOwnerDeletion?: boolean;
  }[];
}

interface Stored<K extends string, Spec, Status> {
  readonly apiVersion: typeof apiVersion;
  readonly kind: K;
  readonly metadata: StoredMeta;
  readonly spec: Spec;
  readonly status?: Status;
}

export type BackupLocation = Stored<'BackupLocation', BackupLocationSpec, BackupLocationStatus>;
export type BackupPolicy = Stored<'BackupPolicy', BackupPolicySpec, BackupPolicyStatus>;
export type Backup = Stored<'Backup', BackupSpec, BackupStatus>;
export type RestoreRequest = Stored<'RestoreRequest', RestoreRequestSpec, RestoreRequestStatus>;
export type RestorePolicy = Stored<'RestorePolicy', RestorePolicySpec, RestorePolicyStatus>;

/** One-off requests and marks of ours. */
export const annotations = {
  task: 'pgbackup.dev/task',
  probeRequestedAt: 'pgbackup.dev/probe-requested-at',
  /** On a Backup or RestoreRequest whose pod cannot start: any new value has its Job built again. */
  startRequestedAt: 'pgbackup.dev/start-requested-at',
  /** On a Backup: retention leaves it alone. The value is for people. */
  pin: 'pgbackup.dev/pin',
  /** On a BackupPolicy: any new value has its retention decided and done now. */
  pruneRequestedAt: 'pgbackup.dev/prune-requested-at',
  /** The same for its repair. */
  repairRequestedAt: 'pgbackup.dev/repair-requested-at',
  /** On a Job: what it was made from (controller/run/rebuild.ts). */
  madeFrom: 'pgbackup.dev/made-from',
  /** On the Job of an inspection: the generation of the location that it looks at. */
  generation: 'pgbackup.dev/generation',
  /** On a found Backup: the uid that its manifest records. */
  foundUid: 'pgbackup.dev/found-uid',
  /** Of the policy that made it: one of the same name may be another. */
  foundPolicyUid: 'pgbackup.dev/found-policy-uid',
} as const;
export const labels = {
  policy: 'pgbackup.dev/policy',
  backup: 'pgbackup.dev/backup',
  location: 'pgbackup.dev/location',
  restore: 'pgbackup.dev/restore',
  restorePolicy: 'pgbackup.dev/restore-policy',
  task: 'pgbackup.dev/task-kind',
} as const;
export const finalizer = 'pgbackup.dev/hold';
