import { z } from 'zod';
import { knownManifests } from './known-manifests.ts';
import { readBacks } from '../api/backup-policy.ts';
import { accessModes } from '../api/probe.ts';
import { leavableKinds, onErrors } from '../api/restore-options.ts';
import { checkOperators, restoredSource } from '../api/restore-spec.ts';
import { copy } from './copy-task.ts';
import { prune } from './prune-task.ts';
import { secretKeys, taskLocation } from './task-location.ts';

/**
 * What the controller tells a runner: one versioned JSON of at most 200 KiB without secrets, in an annotation of the pod template,
 * mounted by the downward API. A Secret is named by its folder and keys below the runner's root; nothing here is secret.
 */
export const taskVersion = 1;
export const taskMaxBytes = 200 * 1024;

/** Files below the runner's root (`/run/pgbackup` in a pod, the pod's folder in `pgbackup local`). */
export const runnerFiles = {
  root: '/run/pgbackup',
  task: 'task/task.json',
  podUid: 'task/pod-uid',
  secret: (secretName: string, key: string) => `secrets/${secretName}/${key}`,
  volume: (volume: string) => `volumes/${volume}`,
  work: 'work',
  /** In memory: files with secrets in them. */
  private: 'private',
  terminationMessage: '/dev/termination-log',
} as const;

export type SecretKeys = z.infer<typeof secretKeys>;
/** A location as the runner opens it: exactly one of s3, sftp, directory. */
export type TaskLocation = z.infer<typeof taskLocation>;

const kmsAccess = { endpoint: z.string().optional(), credentials: secretKeys.optional(), ca: secretKeys.optional() };
const kmsIdentity = z.strictObject({ region: z.string().optional(), ...kmsAccess });
/** How a runner reaches AWS KMS. */
export type TaskKms = z.infer<typeof kmsIdentity>;

/** Exactly one of them. */
const recipient = z.strictObject({
  publicKey: z.string().optional(),
  publicKeyFrom: secretKeys.optional(),
  key: secretKeys.optional(),
  passphrase: secretKeys.optional(),
  kms: z.strictObject({ keyId: z.string(), region: z.string(), ...kmsAccess }).optional(),
});
export type TaskRecipient = z.infer<typeof recipient>;
/** Exactly one of them. */
const identity = z.strictObject({
  privateKey: secretKeys.optional(),
  key: secretKeys.optional(),
  passphrase: secretKeys.optional(),
  kms: kmsIdentity.optional(),
});
export type TaskIdentity = z.infer<typeof identity>;

const postgresSource = z.strictObject({
  host: z.string().optional(),
  port: z.int(),
  maintenanceDatabase: z.string().optional(),
  tls: z.strictObject({
    mode: z.enum(['disable', 'require', 'verify-ca', 'verify-full']),
    ca: secretKeys.optional(),
    clientCertificate: secretKeys.optional(),
    allowCleartextPassword: z.boolean().optional(),
  }),
  credentials: secretKeys,
});
export type TaskPostgresSource = z.infer<typeof postgresSource>;

export const backupTask = z.strictObject({
  version: z.literal(taskVersion),
  kind: z.literal('backup'),
  namespace: z.string(),
  policy: z.strictObject({ name: z.string(), uid: z.string() }),
  backup: z.strictObject({ name: z.string(), uid: z.string(), slot: z.string().optional() }),
  source: postgresSource,
  databases: z.strictObject({
    names: z.array(z.string()).optional(),
    all: z.boolean().optional(),
    exclude: z.array(z.string()).optional(),
  }),
  dump: z.strictObject({
    schemas: z.array(z.string()).optional(),
    excludeSchemas: z.array(z.string()).optional(),
    tables: z.array(z.string()).optional(),
    excludeTables: z.array(z.string()).optional(),
    excludeTableData: z.array(z.string()).optional(),
    largeObjects: z.boolean().optional(),
    globals: z.boolean(),
    rolePasswords: z.boolean(),
    lockTimeoutSeconds: z.int(),
  }),
  compression: z.strictObject({ algorithm: z.enum(['zstd', 'gzip', 'none']), level: z.int().optional() }),
  /** Absent: what is stored is not encrypted. A runner that does not know of it refuses the task. */
  encryption: z.strictObject({ recipients: z.array(recipient).min(1) }).optional(),
  /** Absent: the manifest is not signed. */
  signing: z.strictObject({ key: secretKeys }).optional(),
  volumeBytes: z.int().min(1),
  destinations: z.array(z.strictObject({ location: taskLocation, required: z.boolean() })),
  /** Sample if absent. */
  readBack: z.enum(readBacks).optional(),
  waitForServerSeconds: z.int(),
  waitForSecretSeconds: z.int(),
  /** How often a database that failed for a reason that passes is tried again within the run, after the others. None if absent. */
  databaseRetries: z.int().min(0).optional(),
  /** Plain bytes of the last good run, if known: progress is estimated from it until the server's own sizes are known. */
  expectedBytes: z.int().optional(),
  /** When Kubernetes ends the run: a best-effort place that is too slow for that is left out in time. */
  deadline: z.string().optional(),
});
export type BackupTask = z.infer<typeof backupTask>;

export const inspectTask = z.strictObject({
  version: z.literal(taskVersion),
  kind: z.literal('inspect'),
  namespace: z.string(),
  location: taskLocation,
  accessMode: z.enum(accessModes),
  /** 8 hexadecimal digits, of nobody else (domain/layout.ts). */
  inspector: z.string().regex(/^[0-9a-f]{8}$/),
  /** Probe on the first page only. */
  probe: z.boolean(),
  /** The probe stores a part of full size, too. */
  fullPart: z.boolean(),
  /** Manifests after this key; from the start if absent. */
  after: z.string().optional(),
  /** Manifests to be read; those that are known do not count. */
  pageSize: z.int().min(1).max(1000),
  /** Everything is read if absent. */
  known: knownManifests.optional(),
  /** Look for what remains of runs; absent on later pages. */
  remains: z
    .strictObject({
      /** Seconds, by policy: no run of it lives longer. */
      deadlines: z.record(z.string(), z.int()),
      /** Backups that have not ended. */
      running: z.array(z.string()),
      /** Folders (`policy/backup`) that an earlier inspection proposed, and that may go. */
      remove: z.array(z.string().regex(/^[a-z0-9-]{1,40}\/[a-z0-9-]{1,57}$/)),
    })
    .optional(),
  waitForSecretSeconds: z.int(),
});
export type InspectTask = z.infer<typeof inspectTask>;

/** What a restore changes, and what a cleanup looks after. */
const restoreTarget = z.strictObject({
  server: postgresSource,
  /** One or several; `source` absent: the only one, else the one that is named like the target. */
  databases: z.array(z.strictObject({ source: z.string().optional(), target: z.string() })).min(1),
});
export type RestoreTaskTarget = z.infer<typeof restoreTarget>;

export const restoreTask = z.strictObject({
  version: z.literal(taskVersion),
  kind: z.literal('restore'),
  namespace: z.string(),
  /** The uid makes the scratch databases' names, and the key of the seals: no server is told all of it. */
  request: z.strictObject({ name: z.string(), uid: z.string() }),
  source: z.strictObject({
    backup: z
      .strictObject({
        name: z.string(),
        /** As its manifest has it: another one is refused. Absent of an import that was made by hand. */
        uid: z.string().optional(),
        /** Copies in the order in which they are tried. */
        copies: z
          .array(
            z.strictObject({
              location: taskLocation,
              manifestKey: z.string(),
              /** Refuse a manifest of other bytes. */
              manifestSha256: z.string().optional(),
            }),
          )
          .min(1),
      })
      .optional(),
    file: z
      .strictObject({
        location: taskLocation,
        key: z.string().optional(),
        pattern: z.string().optional(),
        member: z.string().optional(),
        /** Also what runs of other namespaces stored. */
        foreign: z.boolean().optional(),
      })
      .optional(),
    /** What opens an encrypted backup. */
    identities: z.array(identity).optional(),
    /** Public keys in PEM, one of which must have signed the manifest, besides those of its location. */
    signedBy: z.array(z.string()).min(1).optional(),
  }),
  target: restoreTarget,
  mode: z.enum(['Replace', 'Create', 'InPlace']),
  keepPrevious: z.boolean(),
  clean: z.boolean(),
  /** With clean: also what hangs on what is dropped and does not come back. */
  dropOthers: z.boolean().optional(),
  select: z.strictObject({
    schemas: z.array(z.string()).optional(),
    tables: z.array(z.string()).optional(),
    excludeSchemas: z.array(z.string()).optional(),
    excludeTables: z.array(z.string()).optional(),
    excludeTableData: z.array(z.string()).optional(),
    schemaOnly: z.boolean(),
    dataOnly: z.boolean(),
  }),
  options: z.strictObject({
    /** Absent: as many as suit the source and the target. */
    jobs: z.int().min(1).optional(),
    maintenanceWorkMem: z.string().optional(),
    synchronousCommit: z.boolean().optional(),
    noOwner: z.boolean(),
    noPrivileges: z.boolean(),
    /** Kinds that are left out. */
    without: z.array(z.enum(leavableKinds)).optional(),
    /** Stop if absent. */
    onError: z.enum(onErrors).optional(),
    searchPath: z.array(z.string()).optional(),
    role: z.string().optional(),
    globals: z.boolean(),
    /** Also what makes new roles mighty. */
    privilegedGlobals: z.boolean().optional(),
    analyze: z.boolean(),
  }),
  beforeSql: z.array(z.string()).optional(),
  afterSql: z.array(z.string()),
  checks: z.array(
    z.strictObject({
      database: z.string().optional(),
      sql: z.string(),
      operator: z.enum(checkOperators),
      value: z.string(),
    }),
  ),
  unlessRestored: restoredSource().optional(),
  /** For the server, and for the store. */
  waitForServerSeconds: z.int(),
  waitForSecretSeconds: z.int(),
  /** Between the two looks at a file. */
  settleSeconds: z.int().min(0),
});
export type RestoreTask = z.infer<typeof restoreTask>;

/** After a restore whose runner died without a word: find out what its targets are, and drop what is left beside them. */
export const cleanupTask = z.strictObject({
  version: z.literal(taskVersion),
  kind: z.literal('cleanup'),
  namespace: z.string(),
  request: z.strictObject({ name: z.string(), uid: z.string() }),
  target: restoreTarget,
  keepPrevious: z.boolean(),
  waitForServerSeconds: z.int(),
  waitForSecretSeconds: z.int(),
});
export type CleanupTask = z.infer<typeof cleanupTask>;

export const pruneTask = prune.extend({ version: z.literal(taskVersion) });
export type PruneTask = z.infer<typeof pruneTask>;

export const copyTask = copy.extend({ version: z.literal(taskVersion) });
export type CopyTask = z.infer<typeof copyTask>;

export const task = z.discriminatedUnion('kind', [
  backupTask,
  inspectTask,
  restoreTask,
  cleanupTask,
  pruneTask,
  copyTask,
]);
export type Task = z.infer<typeof task>;
