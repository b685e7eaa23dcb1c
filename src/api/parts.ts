import { z } from 'zod';
import { failureReasonNames } from './reasons.ts';
import { rule, withRules } from './rules.ts';

/** Names of Kubernetes objects that stay part of other names: DNS-1123 labels. */
export const labelPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** Names of policies and locations: short enough that every child's name fits 63 characters. */
export const policyNameMaxLength = 40;
export const backupNameMaxLength = 57;

export const objectName = (maxLength: number) => z.string().min(1).max(maxLength).regex(labelPattern);
/** Names of other objects of Kubernetes: DNS-1123 subdomains. */
export const subdomainName = () =>
  z
    .string()
    .min(1)
    .max(253)
    .regex(/^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/);
/**
 * A time of RFC 3339. The API server accepts a list for any text with a format (its type check looks away there);
 * the rule makes it read the time and refuse what is none.
 */
export const timestamp = () =>
  withRules(
    z.iso.datetime({ offset: true }).max(40),
    rule<string>(
      "self >= timestamp('0001-01-02T00:00:00Z')",
      (self) => Date.parse(self) >= Date.parse('0001-01-02T00:00:00Z'),
      'must be a time after the first day of the year 1',
    ),
  );
export const bytes = () => z.int().min(0).meta({ format: 'int64' });
/** As `421 kB`. */
export const sizeText = () => z.string().max(16);
export const count = () => z.int().min(0).meta({ format: 'int64' });
export const seconds = (min: number, max: number) => z.int().min(min).max(max).meta({ format: 'int64' });
export const shortText = () => z.string().max(1024);
export const sha256Hex = () =>
  z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .max(64);

/** A name in PostgreSQL: up to 63 bytes on a stock build; any character but NUL. */
export const postgresName = () => z.string().min(1).max(63);

/** `{secretName, keys?: {role: key}}`; every role has a documented default key. */
export function secretReference<const Roles extends Readonly<Record<string, string>>>(
  roles: Roles,
  description: string,
) {
  const shape = Object.fromEntries(
    Object.entries(roles).map(([role, fallback]) => [
      role,
      z
        .string()
        .min(1)
        .max(253)
        .regex(/^[-._a-zA-Z0-9]+$/)
        .default(fallback)
        .meta({ description: `Key of the Secret that holds ${role}.` }),
    ]),
  ) as unknown as { [Role in keyof Roles]: z.ZodDefault<z.ZodString> };
  return z
    .strictObject({
      secretName: subdomainName().meta({ description: 'Name of a Secret in the same namespace.' }),
      keys: z
        .strictObject(shape)
        .prefault({} as never)
        .meta({ description: 'Which key of the Secret plays which role.' }),
    })
    .meta({ description });
}

/** The condition type of Kubernetes (metav1.Condition). */
export const condition = () =>
  z.strictObject({
    type: z.string().min(1).max(64),
    status: z.enum(['True', 'False', 'Unknown']),
    reason: z.string().min(1).max(64),
    message: z.string().max(2048),
    lastTransitionTime: timestamp(),
    observedGeneration: count().optional(),
  });
export const conditions = () =>
  z
    .array(condition())
    .max(8)
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] });
export type Condition = z.infer<ReturnType<typeof condition>>;

/** What deleting a Backup object does to its data. */
export const deletionPolicies = ['Retain', 'Delete'] as const;
export const deletionPolicy = () => z.enum(deletionPolicies).default('Retain');

/** In the status of a run. */
export const failedTries = () =>
  count().meta({ description: 'Tries that ended without success, and after which it was tried again.' });

/** In the status of a run whose pod could not start. */
export const rebuilt = () =>
  z
    .strictObject({
      times: count(),
      jobUid: z.string().max(64).meta({ description: 'uid of the last Job that was given up for another.' }),
      at: timestamp(),
    })
    .meta({
      description:
        'How often its Job was built again because its pod could not start and what it is made from had changed, or somebody asked.',
    });
export type Rebuilt = z.infer<ReturnType<typeof rebuilt>>;

export const failureReason = () => z.enum(failureReasonNames);

const quantity = () =>
  withRules(
    z.string().min(1).max(32),
    rule<string>(
      "self.matches('^[0-9]+([.][0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$')",
      (self) => /^[0-9]+([.][0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$/.test(self),
      'must be a quantity as Kubernetes writes it, such as 500m, 2, 512Mi (1024 × 1024 each) or 512M (1000 × 1000 each); MB and GB are none',
    ),
  );
/** A map whose keys are bounded too: a structural schema has no word for that, so a rule says it. */
const textMap = <Value extends z.ZodType>(maxKeyLength: number, value: Value, maxProperties: number) =>
  withRules(
    z.record(z.string(), value),
    rule<Record<string, unknown>>(
      `self.all(key, size(key) <= ${maxKeyLength})`,
      (self) => Object.keys(self).every((key) => Array.from(key).length <= maxKeyLength),
      `a key has at most ${maxKeyLength} characters`,
    ),
  ).meta({ maxProperties });
/** Keys of labels, annotations, taints: a name, with or without the prefix of a domain. */
export const qualifiedNamePattern =
  /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const labelValue = () =>
  z
    .string()
    .max(63)
    .regex(/^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/);
const labelMap = () => textMap(317, labelValue(), 32);

/** As Kubernetes takes it (0 to 2³¹-1). */
const userId = () => z.int().min(0).max(2_147_483_647).meta({ format: 'int64' });

/** How far a run is; in its status while it runs. */
export const progressShape = {
  plainBytes: bytes(),
  estimatedBytes: bytes().optional(),
  bytesPerSecond: bytes(),
  database: postgresName().optional(),
  databasesDone: count(),
  databasesTotal: count(),
  summary: z
    .string()
    .max(64)
    .optional()
    .meta({ description: 'The same for people: share of the estimate, bytes, rate.' }),
};

const proxyUrl = () =>
  z
    .string()
    .min(8)
    .max(512)
    .regex(/^https?:\/\/([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]{2,39}\])(:[0-9]{1,5})?\/?$/);

/** Of a run, whatever its policy says. */
export const maxDeadlineSeconds = 7 * 86_400;

/** How Jobs run: everything about pods that a user may want to say. */
export const runnerOptions = () =>
  z.strictObject({
    serviceAccountName: subdomainName()
      .optional()
      .meta({ description: 'Service account of the pod, for workload identity. Its API token is never mounted.' }),
    resources: z
      .strictObject({
        requests: textMap(64, quantity(), 8).optional().meta({ description: 'What is set aside for it.' }),
        limits: textMap(64, quantity(), 8).optional().meta({ description: 'What it may not exceed.' }),
      })
      .optional()
      .meta({
        description:
          'Requests and limits of the runner’s container, as in Pods. Without it 50m CPU and 192Mi memory are requested, and 2Gi memory is the limit; `{}` leaves all to the namespace (LimitRange).',
      }),
    nodeSelector: labelMap().optional().meta({ description: 'As in Pods.' }),
    tolerations: z
      .array(
        withRules(
          z.strictObject({
            key: z.string().max(317).regex(qualifiedNamePattern).optional().meta({ description: 'Key of the taint.' }),
            operator: z
              .enum(['Exists', 'Equal'])
              .optional()
              .meta({ description: 'How value is compared. Default Equal.' }),
            value: labelValue().optional().meta({ description: 'Value of the taint.' }),
            effect: z
              .enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
              .optional()
              .meta({ description: 'Effect of the taint; without it all.' }),
            tolerationSeconds: seconds(0, 86_400 * 365)
              .optional()
              .meta({ description: 'With NoExecute: how long the pod stays.' }),
          }),
          rule<{ key?: string; operator?: string }>(
            "has(self.key) || (has(self.operator) && self.operator == 'Exists')",
            (self) => self.key !== undefined || self.operator === 'Exists',
            'a toleration without key needs operator Exists',
          ),
        ),
      )
      .max(16)
      .optional()
      .meta({ description: 'As in Pods.' }),
    priorityClassName: subdomainName().optional().meta({ description: 'As in Pods.' }),
    securityContext: z
      .strictObject({
        runAsUser: z
          .int()
          .min(1)
          .max(2_147_483_647)
          .optional()
          .meta({ format: 'int64', description: 'User of the process; not root.' }),
        runAsGroup: userId().optional().meta({ description: 'Its first group.' }),
        fsGroup: userId().optional().meta({ description: 'Group that volumes are given to.' }),
        supplementalGroups: z
          .array(userId())
          .max(16)
          .optional()
          .meta({ description: 'More groups, for volumes (NFS) that are shared by group.' }),
      })
      .optional()
      .meta({
        description:
          'Who the pod runs as, instead of the image’s user and group 65532. What is left out is left to the platform: `{}` leaves all to it (OpenShift). Never root.',
      }),
    podLabels: labelMap().optional().meta({ description: 'More labels of the pod (for network policies, meshes).' }),
    podAnnotations: textMap(317, z.string().max(1024), 32)
      .optional()
      .meta({ description: 'More annotations of the pod.' }),
    proxy: z
      .strictObject({
        httpProxy: proxyUrl().optional().meta({ description: 'HTTP_PROXY: for stores whose endpoint is http.' }),
        httpsProxy: proxyUrl().optional().meta({ description: 'HTTPS_PROXY: for stores whose endpoint is https.' }),
        noProxy: z
          .string()
          .min(1)
          .max(1024)
          .regex(/^[A-Za-z0-9*._:,/[\] -]+$/)
          .optional()
          .meta({ description: 'NO_PROXY: hosts that are reached directly, separated by commas.' }),
      })
      .optional()
      .meta({
        description: 'HTTP proxy on the way to S3 and AWS KMS. PostgreSQL and SFTP are never reached through it.',
      }),
    deadlineSeconds: seconds(30, maxDeadlineSeconds)
      .default(6 * 3600)
      .meta({ description: 'A run that is not done after this time is ended and fails.' }),
    retries: z.int().min(0).max(10).default(2).meta({
      format: 'int32',
      description: 'How often a run is tried again after a transient failure.',
    }),
    waitForServerSeconds: seconds(0, 3600)
      .default(300)
      .meta({ description: 'How long a run waits for the PostgreSQL server and the stores to answer.' }),
  });

/** Roles of the Secret for PostgreSQL, with the keys that CloudNativePG and others use. */
export const postgresCredentialRoles = { username: 'username', password: 'password', uri: 'uri' } as const;
export const caRoles = { ca: 'ca.crt' } as const;
export const clientCertificateRoles = { certificate: 'tls.crt', privateKey: 'tls.key' } as const;
export const s3CredentialRoles = {
  accessKeyId: 'accessKeyId',
  secretAccessKey: 'secretAccessKey',
  sessionToken: 'sessionToken',
} as const;
export const sftpCredentialRoles = {
  username: 'username',
  password: 'password',
  privateKey: 'privateKey',
  passphrase: 'passphrase',
} as const;
