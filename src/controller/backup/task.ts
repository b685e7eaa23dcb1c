import type { Backup, BackupLocation, BackupPolicy, RestoreRequest } from '../../api/kinds.ts';
import { defaultVolumeBytes } from '../../domain/layout.ts';
import { taskVersion, type BackupTask, type TaskLocation, type TaskPostgresSource } from '../../domain/task.ts';
import type { UsableDestination } from '../destinations.ts';
import { secretKeys } from './secret-keys.ts';
import { taskRecipient } from './task-keys.ts';

/** How long a runner waits for a key of a Secret. */
export const waitForSecretSeconds = 120;

/** The claims that a task's volumes are, by the volume's name in the task. */
export type Claims = ReadonlyMap<string, string>;

/** One volume for each claim; without Kubernetes (`useClaims` false) there are none, and paths are taken as they are. */
export function nameClaims(locations: readonly BackupLocation[], useClaims: boolean): Claims {
  const names = locations.flatMap(({ spec }) => spec.directory?.claimName ?? []);
  const claims = useClaims ? [...new Set(names)] : [];
  return new Map(claims.map((claim, index) => [`volume-${index + 1}`, claim]));
}

/** A location as a runner opens it. */
export function taskLocation({ metadata, spec }: BackupLocation, claims: Claims): TaskLocation {
  const { s3, sftp, directory } = spec;
  const volume = [...claims].find(([, claim]) => claim === directory?.claimName)?.[0];
  return {
    name: metadata.name,
    place: {
      ...(s3 === undefined
        ? {}
        : {
            s3: {
              ...s3,
              ca: s3.ca && secretKeys(s3.ca),
              credentials: s3.credentials && secretKeys(s3.credentials),
            },
          }),
      ...(sftp === undefined ? {} : { sftp: { ...sftp, credentials: secretKeys(sftp.credentials) } }),
      ...(directory === undefined
        ? {}
        : { directory: { path: directory.path, ...(volume === undefined ? {} : { volume }) } }),
    },
    ...(spec.signatures === undefined ? {} : { signedBy: spec.signatures.publicKeys }),
  };
}

/** A server as a runner connects to it. */
export function taskServer(server: RestoreRequest['spec']['target']['postgres']): TaskPostgresSource {
  const { host, port, maintenanceDatabase, tls, credentials } = server;
  return {
    host,
    port,
    maintenanceDatabase,
    tls: {
      mode: tls.mode,
      ca: tls.ca && secretKeys(tls.ca),
      clientCertificate: tls.clientCertificate && secretKeys(tls.clientCertificate),
      ...(tls.allowCleartextPassword === true ? { allowCleartextPassword: true } : {}),
    },
    credentials: secretKeys(credentials),
  };
}

/** What the runner of a Backup is told. */
export function buildBackupTask(
  backup: Backup,
  policy: BackupPolicy,
  destinations: readonly UsableDestination[],
  claims: Claims,
  volumeBytes: number | undefined,
): BackupTask {
  const { spec } = policy;
  const { postgres } = spec.source;
  return {
    version: taskVersion,
    kind: 'backup',
    namespace: policy.metadata.namespace,
    policy: { name: policy.metadata.name, uid: policy.metadata.uid },
    backup: { name: backup.metadata.name, uid: backup.metadata.uid, slot: backup.spec.slot },
    source: taskServer(postgres),
    databases: { ...postgres.databases },
    dump: { ...spec.dump },
    compression: { ...spec.compression },
    ...(spec.encryption === undefined
      ? {}
      : { encryption: { recipients: spec.encryption.recipients.map(taskRecipient) } }),
    ...(spec.signing === undefined ? {} : { signing: { key: secretKeys(spec.signing.key) } }),
    volumeBytes: volumeBytes ?? defaultVolumeBytes,
    destinations: destinations.map(({ location, required }) => ({
      location: {
        ...taskLocation(location, claims),
        ...(location.spec.accessMode === 'AppendOnly' ? { appendOnly: true } : {}),
      },
      required,
    })),
    readBack: spec.verification.readBack,
    waitForServerSeconds: spec.runner.waitForServerSeconds,
    waitForSecretSeconds,
    databaseRetries: spec.runner.retries,
    expectedBytes: policy.status?.lastSizeBytes,
  };
}
