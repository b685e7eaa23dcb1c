import { apiVersion } from '../../src/api/kinds.ts';
import {
  backup,
  directory,
  hostKey,
  location,
  policy,
  repeat,
  s3,
  sftp,
  source,
  withPolicy,
  withRunner,
  type GoodObject,
} from './object-cases.ts';
import { goodRestores, goodRestoreStatuses } from './restore-objects.ts';

const runner = {
  serviceAccountName: 'backup.writer',
  resources: { requests: { cpu: '100m', memory: '0.5Gi' }, limits: { memory: '1Gi' } },
  nodeSelector: { 'kubernetes.io/os': 'linux' },
  tolerations: [{ operator: 'Exists' }, { key: 'a', value: 'b', effect: 'NoExecute', tolerationSeconds: 60 }],
  priorityClassName: 'low',
  securityContext: { runAsUser: 1_000_660_000, runAsGroup: 0, fsGroup: 1_000_660_000, supplementalGroups: [5] },
  podLabels: { team: 'data' },
  podAnnotations: { 'linkerd.io/inject': 'enabled' },
  deadlineSeconds: 3600,
  retries: 0,
  waitForServerSeconds: 0,
};

const time = '2026-01-01T03:00:00Z';
const condition = (type: string) => ({
  type,
  status: 'True',
  reason: 'Succeeded',
  message: '',
  lastTransitionTime: time,
  observedGeneration: 1,
});

/** Accepted by both, with the same defaults. */
export const goodObjects: readonly GoodObject[] = [
  { name: 'the smallest S3 location', object: s3() },
  {
    name: 'an S3 location with everything',
    object: location({
      s3: {
        bucket: 'my.backups-1',
        prefix: 'team/pg_1~x%20y+z=@-.e',
        region: 'auto',
        endpoint: 'https://s3.example.com:9000/base/',
        forcePathStyle: true,
        storageClass: 'STANDARD_IA',
        serverSideEncryption: { algorithm: 'aws:kms', kmsKeyId: 'arn:aws:kms:eu-central-1:1:key/a' },
        ca: { secretName: 'ca', keys: { ca: 'root.pem' } },
        credentials: { secretName: 's3', keys: { accessKeyId: 'id' } },
      },
      accessMode: 'ReadOnly',
      inspectionIntervalSeconds: 60,
      runner,
    }),
  },
  { name: 'an endpoint that is an address', object: s3({ endpoint: 'http://192.0.2.1:65535' }) },
  { name: 'an endpoint that is an address of IPv6', object: s3({ endpoint: 'http://[2001:db8::1]:9000/base' }) },
  { name: 'an endpoint that is a short address of IPv6', object: s3({ endpoint: 'https://[::1]' }) },
  { name: 'a storage class that is cold and read at once', object: s3({ storageClass: 'GLACIER_IR' }) },
  {
    name: 'a location behind a proxy',
    object: location({
      s3: { bucket: 'backups', region: 'eu-central-1' },
      runner: {
        proxy: {
          httpProxy: 'http://[2001:db8::1]:3128',
          httpsProxy: 'http://proxy.example.com:3128/',
          noProxy: 'localhost, 10.0.0.0/8,*.svc,[::1]',
        },
      },
    }),
  },
  { name: 'an endpoint without port', object: s3({ endpoint: 'http://minio' }) },
  { name: 'the smallest SFTP location', object: sftp() },
  {
    name: 'an SFTP location with everything',
    object: sftp({
      host: '2001:db8::1',
      port: 2222,
      path: '/srv/ä ö/…',
      credentials: { secretName: 's', keys: { username: 'u', password: 'p', privateKey: 'k', passphrase: 'f' } },
      hostKeys: [
        hostKey,
        `${hostKey}=`,
        'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA',
        '[sftp.example.com]:2222 ecdsa-sha2-nistp256 AAAAE2VjZHNh= somebody@somewhere',
      ],
    }),
  },
  { name: 'the smallest directory location', object: directory() },
  { name: 'a directory in a volume', object: directory({ claimName: 'backups.nfs' }) },
  { name: 'the smallest policy', object: withPolicy() },
  {
    name: 'a policy with everything',
    object: policy({
      source: source({
        host: 'db.example.com',
        port: 6432,
        maintenanceDatabase: 'defaultdb',
        tls: {
          mode: 'verify-ca',
          ca: { secretName: 'ca' },
          clientCertificate: { secretName: 'cert', keys: { certificate: 'c', privateKey: 'k' } },
        },
        credentials: { secretName: 'pg', keys: { uri: 'jdbc' } },
        databases: { names: ['app', 'Größe mit Leerzeichen'] },
      }),
      schedule: '15 2,3 */2 * MON-FRI',
      timeZone: 'America/Argentina/Buenos_Aires',
      jitterSeconds: 21_600,
      startingDeadlineSeconds: 10,
      concurrencyPolicy: 'Replace',
      suspend: true,
      dump: {
        schemas: ['app*'],
        excludeSchemas: ['"Weird ""Name"""'],
        tables: ['public.*'],
        excludeTables: ['tmp_*'],
        excludeTableData: ['logs'],
        globals: false,
        largeObjects: true,
        rolePasswords: true,
        lockTimeoutSeconds: 1,
      },
      compression: { algorithm: 'gzip', level: 9 },
      verification: { readBack: 'Sample' },
      destinations: repeat(8, (index) => ({ location: `l-${index}`, required: index % 2 === 0 })),
      runner,
    }),
  },
  {
    name: 'all databases but some',
    object: withPolicy({ source: source({ databases: { all: true, exclude: ['x'] } }) }),
  },
  {
    name: 'names with all: false',
    object: withPolicy({ source: source({ databases: { names: ['x'], all: false } }) }),
  },
  { name: 'a macro as schedule', object: withPolicy({ schedule: '@daily' }) },
  { name: 'a schedule with tabs', object: withPolicy({ schedule: '0\t3 *  * *' }) },
  { name: 'every byte read back', object: withPolicy({ verification: { readBack: 'Full' } }) },
  { name: 'nothing read back', object: withPolicy({ verification: { readBack: 'None' } }) },
  { name: 'no compression', object: withPolicy({ compression: { algorithm: 'none' } }) },
  { name: 'zstd at its highest level', object: withPolicy({ compression: { level: 22 } }) },
  { name: 'a null where nothing is needed', object: withPolicy({ schedule: null, dump: { tables: null } }) },
  { name: 'a null in a map', object: withRunner({ podLabels: { a: null, b: 'c' } }) },
  {
    name: 'a null where a default is',
    object: withPolicy({ suspend: null, dump: null, compression: { algorithm: null } }),
  },
  {
    name: 'as many node labels as may be',
    object: withRunner({ nodeSelector: Object.fromEntries(repeat(32, (i) => [`k${i}`, ''])) }),
  },
  {
    name: 'labels at the borders of what a pod may have',
    object: withRunner({ podLabels: { a: 'v'.repeat(63), b: '', c: 'A', d: '0_a.b-C' } }),
  },
  { name: 'a policy name of 40 characters', object: { ...withPolicy(), metadata: { name: 'p'.repeat(40) } } },
  { name: 'a manual backup', object: backup({ policy: 'nightly' }) },
  {
    name: 'a scheduled backup',
    object: backup({ policy: 'nightly', slot: '2026-02-28T23:30:00.5+05:30' }, 'b'.repeat(57)),
  },
  {
    name: 'a backup that was found',
    object: backup({ policy: 'nightly', slot: time, import: { location: 'a', key: 'ns/nightly/x/manifest.json' } }),
  },
  { name: 'a changed schedule', old: withPolicy({ schedule: '@daily' }), object: withPolicy({ schedule: '@hourly' }) },
  {
    name: 'other credentials of the same place',
    old: sftp(),
    object: sftp({ credentials: { secretName: 'other' }, port: 22 }),
  },
  {
    name: 'a backup that is written again as it is',
    old: backup({ policy: 'a', slot: time }),
    object: backup({ slot: time, policy: 'a' }),
  },
  ...goodRestores,
];

/** Status of each kind, accepted by both. */
export const goodStatuses: readonly { readonly kind: string; readonly status: unknown }[] = [
  {
    kind: 'BackupLocation',
    status: {
      conditions: [condition('Available')],
      observedGeneration: 1,
      phase: 'Available',
      lastProbeTime: time,
      latencies: { putMilliseconds: 12.5, getMilliseconds: 3, multipartMilliseconds: 40 },
      backups: 0,
      storedBytes: Number.MAX_SAFE_INTEGER,
      damagedManifests: 0,
      catalogue: { page: 1, after: 'x', backups: 1000, storedBytes: 1, damagedManifests: 0 },
      probeErrors: { put: 1, get: 0, list: 0, delete: 0, abort: 1 },
      fullPartTime: time,
      offers: { conditions: 'Kept', overwrites: 'Versioned', deletes: 'Refused', unfinishedUploads: 0 },
      failures: 0,
      countedJob: 'uid',
      probeRequestedAt: time,
    },
  },
  {
    kind: 'BackupPolicy',
    status: {
      conditions: [condition('Ready'), condition('Healthy')],
      phase: 'Ready',
      lastScheduleTime: time,
      nextScheduleTime: time,
      lastSuccessTime: time,
      active: ['nightly-20260101t030000z'],
      missedRuns: 1,
      handledSlot: time,
      runs: { Succeeded: 1, PartlyFailed: 0, Failed: 0 },
      countedUids: ['uid'],
      lastSizeBytes: 5,
    },
  },
  {
    kind: 'Backup',
    status: {
      conditions: [condition('Succeeded')],
      phase: 'PartlyFailed',
      job: 'pgb-a',
      startedAt: time,
      completedAt: time,
      plainBytes: 1,
      storedBytes: 1,
      progress: { plainBytes: 1, bytesPerSecond: 1, databasesDone: 0, databasesTotal: 1 },
      destinations: [
        {
          location: 'a',
          outcome: 'Stored',
          bytes: 1,
          readBackBytes: 1,
          manifestKey: 'k',
          manifestSha256: 'a'.repeat(64),
        },
        { location: 'b', required: false, outcome: 'Failed', reason: 'Aborted', message: 'stopped' },
      ],
      databases: { stored: ['a'], failed: [{ name: 'b', reason: 'DatabaseMissing' }] },
    },
  },
  ...goodRestoreStatuses,
].map(({ kind, status }) => ({ apiVersion, kind, status }));
