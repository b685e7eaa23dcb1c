import { failureReasons, type FailureReason } from './reasons.ts';

/** What somebody was doing when it failed: the same reason is mended in different ways. */
export type Direction = 'backup' | 'restore';
export type PlaceKind = 's3' | 'sftp' | 'directory';
export type RemedyFor = Direction | PlaceKind;
export const remedyKinds: readonly RemedyFor[] = ['backup', 'restore', 's3', 'sftp', 'directory'];

/** Where the remedy of the catalogue is not the right one for everybody. */
const variants: Readonly<Partial<Record<FailureReason, Readonly<Partial<Record<RemedyFor, string>>>>>> = {
  SecretMissing: {
    backup: 'Create the Secret with the named key in the namespace of the policy.',
    restore: 'Create the Secret with the named key in the namespace of the RestoreRequest.',
  },
  PermissionDenied: {
    backup:
      'Grant pg_read_all_data to the role of the backup (PostgreSQL 14 and later), or exclude what the message names.',
    restore:
      'Restore as a superuser, or as a role that may create databases and is a member of the owners (options.noOwner and options.noPrivileges do without them).',
  },
  DatabaseMissing: {
    backup: 'Create it, or take its name out of source.postgres.databases.names.',
    restore: 'Name a database that is in the backup in source.database, or correct maintenanceDatabase of the target.',
  },
  LockTimeout: {
    backup: 'Run the backup when no migration runs, or raise dump.lockTimeoutSeconds.',
    restore: 'End what holds the lock, or restore when nobody works on the target.',
  },
  ExtensionMissing: {
    backup: 'Install the library that the message names on the server: without it what depends on it cannot be read.',
    restore: 'Install it on the target server, or leave out what needs it.',
  },
  LockTableFull: {
    backup:
      'Raise max_locks_per_transaction of the server and restart it (a dump locks every table), or dump schema by schema.',
    restore:
      'Raise max_locks_per_transaction of the target server and restart it, or restore with mode Replace or Create: only InPlace locks all that it makes until its end.',
  },
  DiskFull: {
    backup:
      'Make room on the disk of the PostgreSQL server (temporary files), or on the volume that the message names.',
    restore:
      'Make room on the target server’s disk, or raise scratch.size: a restore beside the target needs as much as the target.',
  },
  DeadlineExceeded: {
    backup: 'Raise runner.deadlineSeconds, or split the databases over several policies.',
    restore: 'Raise runner.deadlineSeconds, or options.jobs.',
  },
  StorageUnreachable: {
    s3: 'Check endpoint, port, network policies and that the S3 server runs.',
    sftp: 'Check host, port, network policies and that the SSH server runs.',
    directory: 'Check that the volume is mounted and its server answers.',
  },
  StorageFailed: {
    s3: 'Look at the S3 server; the run tries again within its retries.',
    sftp: 'Look at the SFTP server’s log and its disk; the run tries again within its retries.',
    directory: 'Look at the volume and the log of its node; the run tries again within its retries.',
  },
  StorageDenied: {
    s3: 'Allow put, get, list and delete below the prefix (docs/locations.md has the least policy).',
    sftp: 'Let the user of the location create, read, rename and delete files below sftp.path on the server.',
    directory:
      'Let the user of the runner (uid 65532 in the image) write to the folder, or say in spec.runner.securityContext whose it is (runAsUser, fsGroup, supplementalGroups).',
  },
  StorageCredentialsInvalid: {
    s3: 'Correct accessKeyId and secretAccessKey (and sessionToken) in the Secret that the location names.',
    sftp: 'Correct username, and password or privateKey, in the Secret that the location names.',
  },
  StorageMissing: {
    s3: 'Create the bucket, or correct s3.bucket, s3.region or s3.endpoint.',
    sftp: 'Create the folder on the SFTP server, or correct sftp.path.',
    directory: 'Create the folder on the volume, or correct directory.path.',
  },
  StorageFull: {
    s3: 'Raise the quota of the bucket, or make room in the store.',
    sftp: 'Make room on the disk of the SFTP server, or raise the quota of its user.',
    directory: 'Make room on the volume, or make it larger.',
  },
  StorageConfigInvalid: {
    s3: 'Correct region, endpoint, forcePathStyle, storageClass or serverSideEncryption.',
    sftp: 'Correct host, port or path of the location: the server does not speak SFTP as it is addressed.',
    directory: 'Correct directory.path: it must be a folder, with names that the file system takes.',
  },
};

/** The variant of the first kind that has one, else the remedy of the catalogue. */
export function remedyFor(reason: FailureReason, ...kinds: readonly (RemedyFor | undefined)[]): string {
  const own = variants[reason];
  const kind = kinds.find((each) => each !== undefined && own?.[each] !== undefined);
  return (kind === undefined ? undefined : own?.[kind]) ?? failureReasons[reason].remedy;
}

/** Those that a reason has, in a fixed order. */
export function remedyVariants(reason: FailureReason): readonly (readonly [RemedyFor, string])[] {
  const own = variants[reason] ?? {};
  return remedyKinds.flatMap((kind) => {
    const remedy = own[kind];
    return remedy === undefined ? [] : [[kind, remedy] as const];
  });
}

/** Of a location as a spec or a task has it. */
export function placeKindOf(place: { readonly [Kind in PlaceKind]?: unknown }): PlaceKind | undefined {
  if (place.s3 !== undefined) return 's3';
  if (place.sftp !== undefined) return 'sftp';
  return place.directory === undefined ? undefined : 'directory';
}
