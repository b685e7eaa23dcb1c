import { backupLocationSpec } from '../../src/api/backup-location.ts';
import { backupPolicySpec } from '../../src/api/backup-policy.ts';
import {
  apiVersion,
  type Backup,
  type BackupLocation,
  type BackupPolicy,
  type RestorePolicy,
  type RestoreRequest,
  type StoredMeta,
} from '../../src/api/kinds.ts';
import { restorePolicySpec } from '../../src/api/restore-policy.ts';
import { restoreRequestSpec } from '../../src/api/restore-request.ts';
import type { Condition } from '../../src/api/parts.ts';
import type { KubeObject } from '../../src/kube/client.ts';

/** Objects as they are stored, with the least that is needed; whatever matters to a test is given. */
type Parts<Spec, Status> = {
  readonly name?: string;
  readonly metadata?: Partial<StoredMeta>;
  readonly spec?: Spec;
  readonly status?: Status;
};

function meta(name: string, more: Partial<StoredMeta> | undefined): StoredMeta {
  return {
    name,
    namespace: 'shop',
    uid: `uid-of-${name}`,
    resourceVersion: '1',
    generation: 1,
    creationTimestamp: '2026-01-01T00:00:00Z',
    ...more,
  };
}

/** Each day at three, to `near`. */
export const policySpec = {
  source: {
    postgres: { host: 'db.example.com', credentials: { secretName: 'db' }, databases: { all: true } },
  },
  schedule: '0 3 * * *',
  destinations: [{ location: 'near' }],
} as const;

export function buildPolicy(parts: Parts<object, BackupPolicy['status']> = {}): BackupPolicy {
  const { name = 'nightly', metadata, spec, status } = parts;
  return {
    apiVersion,
    kind: 'BackupPolicy',
    metadata: meta(name, metadata),
    spec: backupPolicySpec.parse({ ...policySpec, ...spec }),
    ...(status === undefined ? {} : { status }),
  };
}

export const locationSpec = {
  s3: { bucket: 'backups', endpoint: 'https://s3.example.com', credentials: { secretName: 's3' } },
} as const;

export function buildLocation(parts: Parts<object, BackupLocation['status']> = {}): BackupLocation {
  const { name = 'near', metadata, spec = locationSpec, status } = parts;
  return {
    apiVersion,
    kind: 'BackupLocation',
    metadata: meta(name, metadata),
    spec: backupLocationSpec.parse(spec),
    ...(status === undefined ? {} : { status }),
  };
}

export function buildBackup(parts: Parts<Partial<Backup['spec']>, Backup['status']> = {}): Backup {
  const { name = 'nightly-20260101t030000z', metadata, spec, status } = parts;
  return {
    apiVersion,
    kind: 'Backup',
    metadata: meta(name, metadata),
    spec: { policy: 'nightly', deletionPolicy: 'Retain', ...spec },
    ...(status === undefined ? {} : { status }),
  };
}

const server = { host: 'staging.example.com', credentials: { secretName: 'staging' } } as const;

/** The newest of `nightly`, to the database `app`. */
export const restoreSpec = {
  source: { policy: { name: 'nightly', latest: true } },
  target: { postgres: server, database: 'app' },
} as const;

export function buildRestore(parts: Parts<object, RestoreRequest['status']> = {}): RestoreRequest {
  const { name = 'again', metadata, spec, status } = parts;
  return {
    apiVersion,
    kind: 'RestoreRequest',
    metadata: meta(name, metadata),
    spec: restoreRequestSpec.parse({ ...restoreSpec, ...spec }),
    ...(status === undefined ? {} : { status }),
  };
}

/** Each day at four, the newest of `nightly`. */
export function buildRestorePolicy(parts: Parts<object, RestorePolicy['status']> = {}): RestorePolicy {
  const { name = 'refresh', metadata, spec, status } = parts;
  return {
    apiVersion,
    kind: 'RestorePolicy',
    metadata: meta(name, metadata),
    spec: restorePolicySpec.parse({ schedule: '0 4 * * *', template: { spec: restoreSpec }, ...spec }),
    ...(status === undefined ? {} : { status }),
  };
}

/** The scheduled run of `nightly` for a time. */
export function buildRun(slot: string, status?: Backup['status'], metadata: Partial<StoredMeta> = {}): Backup {
  const name = `nightly-${slot.replaceAll(/[-:]/g, '').toLowerCase()}`;
  return buildBackup({
    name,
    spec: { slot },
    metadata: { creationTimestamp: slot, ...metadata },
    ...(status === undefined ? {} : { status }),
  });
}

export function condition(
  type: string,
  status: Condition['status'],
  reason: string,
  at = '2026-01-01T00:00:00Z',
): Condition {
  return { type, status, reason, message: '', lastTransitionTime: at };
}

/** The status of a run that ended well. */
export function succeeded(
  startedAt: string,
  completedAt: string,
  more: Partial<Backup['status']> = {},
): Backup['status'] {
  return {
    conditions: [condition('Succeeded', 'True', 'Succeeded', completedAt)],
    phase: 'Succeeded',
    startedAt,
    completedAt,
    plainBytes: 1000,
    storedBytes: 200,
    plainSize: '1.00 kB',
    storedSize: '200 B',
    destinations: [{ location: 'near', required: true, outcome: 'Stored' }],
    copies: '1/1',
    ...more,
  };
}

export function failed(reason: string, at: string, more: Partial<Backup['status']> = {}): Backup['status'] {
  return { conditions: [condition('Succeeded', 'False', reason, at)], phase: 'Failed', completedAt: at, ...more };
}

/** As a client sends it. */
export function asSent(object: BackupPolicy | BackupLocation | Backup | RestoreRequest | RestorePolicy): KubeObject {
  const { name, namespace, labels, annotations } = object.metadata;
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: { name, namespace, ...(labels && { labels }), ...(annotations && { annotations }) },
    spec: object.spec,
  };
}
