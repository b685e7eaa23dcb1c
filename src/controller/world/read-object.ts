import type { z } from 'zod';
import { backupLocationSpec, backupLocationStatus } from '../../api/backup-location.ts';
import { backupPolicySpec, backupPolicyStatus } from '../../api/backup-policy.ts';
import { backupSpec, backupStatus } from '../../api/backup.ts';
import { describeIssue } from '../../api/describe-issue.ts';
import type { Backup, BackupLocation, BackupPolicy, RestorePolicy, RestoreRequest } from '../../api/kinds.ts';
import { readLeniently } from '../../api/read-leniently.ts';
import { restorePolicySpec, restorePolicyStatus } from '../../api/restore-policy.ts';
import { restoreRequestSpec, restoreRequestStatus } from '../../api/restore-request.ts';
import type { KubeObject } from '../../kube/client.ts';
import { keepOurs } from './keep-object.ts';

/** An object of a cache in our types. With a fault its spec is not to be trusted: the object is only good for saying so. */
export interface Read<T> {
  readonly object: T;
  readonly fault: string | undefined;
}

type Shape = Readonly<Record<string, z.ZodType>>;

interface Reader<T> {
  /** Each version of an object is read once. */
  (raw: KubeObject): Read<T>;
  /** What a cache is to keep of an object (keep-object.ts); it is read then, and held once, in our types. */
  readonly keep: (raw: KubeObject) => KubeObject;
}

function reader<T extends BackupPolicy | Backup | BackupLocation | RestoreRequest | RestorePolicy>(
  spec: z.ZodType,
  status: { readonly shape: Shape },
): Reader<T> {
  const known = new WeakMap<KubeObject, Read<T>>();
  const parse = (raw: KubeObject): Read<T> => {
    const parsed = readLeniently(spec, raw.spec, 'Known');
    const seenStatus = readStatus(status.shape, raw.status);
    return {
      object: {
        ...raw,
        spec: 'value' in parsed ? parsed.value : raw.spec,
        status: seenStatus,
      } as unknown as T,
      fault: 'value' in parsed ? undefined : describeFault(parsed.error),
    };
  };
  const read = (raw: KubeObject): Read<T> => {
    const found = known.get(raw) ?? parse(raw);
    known.set(raw, found);
    return found;
  };
  const keep = (raw: KubeObject): KubeObject => {
    const found = parse(keepOurs(raw));
    const object = found.object as unknown as KubeObject;
    known.set(object, found);
    return object;
  };
  return Object.assign(read, { keep });
}

function describeFault(error: z.ZodError): string {
  // Enough to begin with; the rest shows when these are corrected.
  return error.issues
    .slice(0, 3)
    .flatMap((issue) => describeIssue(issue, 'spec'))
    .join('; ');
}

/** Member by member: what another version wrote into one member must not make us forget the others (a run would run twice). */
function readStatus(shape: Shape, status: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof status !== 'object' || status === null) return undefined;
  const members = Object.entries(status).flatMap(([key, value]) => {
    const schema = Object.hasOwn(shape, key) ? shape[key] : undefined;
    const read = schema === undefined ? undefined : readLeniently(schema, value, 'Open');
    return read !== undefined && 'value' in read && read.value !== undefined ? [[key, read.value] as const] : [];
  });
  return Object.fromEntries(members);
}

export const readPolicy = reader<BackupPolicy>(backupPolicySpec, backupPolicyStatus);
export const readBackup = reader<Backup>(backupSpec, backupStatus);
export const readLocation = reader<BackupLocation>(backupLocationSpec, backupLocationStatus);
export const readRestoreRequest = reader<RestoreRequest>(restoreRequestSpec, restoreRequestStatus);
export const readRestorePolicy = reader<RestorePolicy>(restorePolicySpec, restorePolicyStatus);
