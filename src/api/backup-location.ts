import { z } from 'zod';
import {
  bytes,
  caRoles,
  conditions,
  count,
  runnerOptions,
  s3CredentialRoles,
  seconds,
  secretReference,
  sftpCredentialRoles,
  shortText,
  sizeText,
  timestamp,
} from './parts.ts';
import { awsRegion, httpEndpoint } from './http-endpoint.ts';
import { signatures } from './signatures.ts';
import { accessModes, latencies, offers, probeErrors } from './probe.ts';
import { remains } from './remains.ts';
import { exactlyOne, immutableMember, rule, transitionRule, withRules } from './rules.ts';

const where = 'old backups point there; make a new BackupLocation';
const prefixPattern = /^[A-Za-z0-9._~%+=@-]+(\/[A-Za-z0-9._~%+=@-]+)*$/;

/** A prefix or path has no empty, `.` or `..` segments. */
const noDotSegments = <S extends z.ZodString>(schema: S) =>
  withRules(
    schema,
    rule<string>(
      "self.split('/').all(segment, segment != '.' && segment != '..')",
      (self) => self.split('/').every((segment) => segment !== '.' && segment !== '..'),
      'must not have . or .. as a segment',
    ),
  );

/** What is stored in one of these can be read hours later, and after somebody asked for it: no catalogue, verification or restore works. */
const archiveClasses: readonly string[] = ['GLACIER', 'DEEP_ARCHIVE', 'COLD_ARCHIVE', 'DEEP_COLD_ARCHIVE'];

const s3 = withRules(
  z.strictObject({
    bucket: withRules(
      z
        .string()
        .min(3)
        .max(63)
        .regex(/^[a-z0-9][a-z0-9.-]*[a-z0-9]$/),
      rule<string>(
        "!self.contains('..') && !self.matches('^[0-9]+[.][0-9]+[.][0-9]+[.][0-9]+$')",
        (self) => !self.includes('..') && !/^[0-9]+[.][0-9]+[.][0-9]+[.][0-9]+$/.test(self),
        'must not have two dots in a row or look like an IP address',
      ),
    ).meta({ description: 'Name of the bucket; it must exist.' }),
    prefix: noDotSegments(z.string().min(1).max(512).regex(prefixPattern))
      .optional()
      .meta({ description: 'Everything is stored below this prefix, given without slashes at its ends.' }),
    region: awsRegion().optional().meta({
      description: 'Needed on AWS; other providers have their own words (auto on R2). Default us-east-1.',
    }),
    endpoint: httpEndpoint().optional().meta({ description: 'URL of a provider that is not AWS.' }),
    forcePathStyle: z.boolean().default(false).meta({
      description: 'Address the bucket in the path instead of the host name (MinIO, Ceph, most own servers).',
    }),
    storageClass: withRules(
      z
        .string()
        .min(1)
        .max(64)
        .regex(/^[A-Z0-9_]+$/),
      rule<string>(
        `!(self in [${archiveClasses.map((name) => `'${name}'`).join(', ')}])`,
        (self) => !archiveClasses.includes(self),
        'must be a class that can be read at once (GLACIER_IR can): what lies in an archive cannot be verified or restored',
      ),
    )
      .optional()
      .meta({
        description:
          'Storage class of dumps, such as STANDARD_IA; one that can be read at once. Manifests and probes stay in the bucket’s own.',
      }),
    serverSideEncryption: withRules(
      z.strictObject({
        algorithm: z
          .enum(['AES256', 'aws:kms', 'aws:kms:dsse'])
          .meta({ description: 'What the provider encrypts with, in its own words.' }),
        kmsKeyId: z
          .string()
          .min(1)
          .max(2048)
          .optional()
          .meta({ description: 'Key in the provider’s KMS; without it the bucket’s own.' }),
      }),
      rule<{ algorithm: string; kmsKeyId?: string }>(
        "!has(self.kmsKeyId) || self.algorithm != 'AES256'",
        (self) => self.kmsKeyId === undefined || self.algorithm !== 'AES256',
        'kmsKeyId goes with aws:kms or aws:kms:dsse',
      ),
    )
      .optional()
      .meta({ description: 'Encryption by the provider. It does not replace encryption before upload.' }),
    ca: secretReference(caRoles, 'Certificate authorities (PEM) of the endpoint, if not publicly known.').optional(),
    credentials: secretReference(
      s3CredentialRoles,
      'Access key. Without it the pod’s own identity is used (IRSA, pod identity, instance role).',
    ).optional(),
  }),
  rule<{ region?: string; endpoint?: string }>(
    'has(self.region) || has(self.endpoint)',
    (self) => self.region !== undefined || self.endpoint !== undefined,
    'region is needed on AWS; other providers need endpoint',
  ),
  immutableMember('bucket', where),
  immutableMember('prefix', where),
  immutableMember('endpoint', where),
);

const sftp = withRules(
  z.strictObject({
    host: z
      .string()
      .min(1)
      .max(253)
      .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:]+$/)
      .meta({ description: 'Host name or address.' }),
    port: z.int().min(1).max(65_535).default(22).meta({ format: 'int32', description: 'Port of the SSH server.' }),
    path: noDotSegments(
      z
        .string()
        .min(1)
        .max(512)
        .regex(/^[^\0\r\n]+$/),
    ).meta({
      description: 'Folder on the server; it must exist. Relative to the login folder unless it starts with a slash.',
    }),
    credentials: secretReference(
      sftpCredentialRoles,
      'User name, and either a password or a private key (with its passphrase, if it has one).',
    ),
    hostKeys: z
      .array(
        withRules(
          z.string().min(16).max(2048),
          rule<string>(
            String.raw`self.matches(r'^(SHA256:[A-Za-z0-9+/]{43}=?|([!-~]+ )?(ssh-|ecdsa-|sk-)[!-~]+ [A-Za-z0-9+/]+=*( [^\x00\r\n]*)?)$')`,
            (self) =>
              /^(SHA256:[A-Za-z0-9+/]{43}=?|([!-~]+ )?(ssh-|ecdsa-|sk-)[!-~]+ [A-Za-z0-9+/]+=*( [^\0\r\n]*)?)$/.test(
                self,
              ),
            'must be a line as ssh-keyscan prints it, such as "sftp.example.com ssh-ed25519 AAAA…" (leave out those that begin with #), or a fingerprint, such as SHA256: and 43 characters',
          ),
        ),
      )
      .min(1)
      .max(16)
      .meta({
        description:
          'Keys that the server may show: lines as ssh-keyscan prints them, or SHA256 fingerprints. Never taken on trust.',
        'x-kubernetes-list-type': 'set',
      }),
  }),
  immutableMember('host', where),
  immutableMember('port', where),
  immutableMember('path', where),
);

const directory = withRules(
  z.strictObject({
    path: noDotSegments(
      z
        .string()
        .min(1)
        .max(512)
        .regex(/^[^\0\r\n]+$/),
    ).meta({ description: 'Folder inside the volume; without Kubernetes, the folder itself. It must exist.' }),
    claimName: z
      .string()
      .min(1)
      .max(253)
      .regex(/^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/)
      .optional()
      .meta({ description: 'PersistentVolumeClaim that is mounted; needed in a cluster.' }),
  }),
  immutableMember('path', where),
  immutableMember('claimName', where),
);

export const backupLocationSpec = withRules(
  z.strictObject({
    s3: s3.optional().meta({ description: 'A bucket of an S3-compatible store.' }),
    sftp: sftp.optional().meta({ description: 'A folder on an SFTP server.' }),
    directory: directory.optional().meta({ description: 'A folder on a volume.' }),
    accessMode: z.enum(accessModes).default('ReadWrite').meta({
      description:
        'ReadOnly: nothing is ever written or deleted there. AppendOnly: backups are stored, nothing is ever deleted or written over (a key without the right to delete).',
    }),
    encryption: z.enum(['Optional', 'Required']).default('Optional').meta({
      description:
        'Required: policies without `encryption` are refused here, so that nothing is stored that the place could read.',
    }),
    signatures: signatures().optional().meta({
      description: 'Only backups count here whose manifest is signed by one of these keys (docs/encryption.md).',
    }),
    inspectionIntervalSeconds: seconds(60, 7 * 86_400)
      .default(3600)
      .meta({ description: 'How often the location is probed and its catalogue read.' }),
    runner: runnerOptions().prefault({}).meta({ description: 'How inspection Jobs run.' }),
  }),
  exactlyOne('s3', 'sftp', 'directory'),
  transitionRule<Record<string, unknown>>(
    'has(self.s3) == has(oldSelf.s3) && has(self.sftp) == has(oldSelf.sftp) && has(self.directory) == has(oldSelf.directory)',
    (now, old) => ['s3', 'sftp', 'directory'].every((kind) => (now[kind] === undefined) === (old[kind] === undefined)),
    `the kind of a location is immutable: ${where}`,
  ),
);

export const backupLocationStatus = z.strictObject({
  conditions: conditions().optional(),
  observedGeneration: count().optional(),
  phase: z
    .enum(['Unknown', 'Available', 'Unavailable'])
    .optional()
    .meta({ description: 'For people; computed from Available.' }),
  lastProbeTime: timestamp().optional().meta({ description: 'When the last inspection ended.' }),
  latencies: latencies.optional(),
  backups: count()
    .optional()
    .meta({ description: 'Committed backups there: at the last complete catalogue, and the runs since.' }),
  storedBytes: bytes().optional().meta({ description: 'Bytes of these backups, by their manifests.' }),
  storedSize: sizeText().optional().meta({ description: 'storedBytes for people.' }),
  damagedManifests: count()
    .optional()
    .meta({ description: 'Manifests that could not be read at the last complete catalogue.' }),
  catalogue: z
    .strictObject({
      page: count(),
      after: z.string().max(1024).optional(),
      backups: count(),
      storedBytes: bytes(),
      damagedManifests: count(),
      readsAll: z
        .boolean()
        .optional()
        .meta({ description: 'Somebody asked for it: manifests that are known are read, too.' }),
    })
    .optional()
    .meta({ description: 'How far a catalogue of several pages has come; absent when it is complete.' }),
  probeErrors: probeErrors.optional(),
  fullPartTime: timestamp()
    .optional()
    .meta({ description: 'When a probe last stored a part of full size (8 MiB) there and read it back.' }),
  offers: offers.optional(),
  remains: remains.optional(),
  failures: count().optional().meta({ description: 'Inspections that failed in a row.' }),
  countedJob: z.string().max(64).optional().meta({ description: 'uid of the last Job whose answer was taken.' }),
  probeRequestedAt: shortText()
    .optional()
    .meta({ description: 'The pgbackup.dev/probe-requested-at that was last done.' }),
});

export type BackupLocationSpec = z.infer<typeof backupLocationSpec>;
export type BackupLocationStatus = z.infer<typeof backupLocationStatus>;
