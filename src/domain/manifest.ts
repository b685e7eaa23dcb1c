import { z } from 'zod';
import { Failure } from '../api/failure.ts';
import { failureReasonNames } from '../api/reasons.ts';
import { manifestKey } from './layout.ts';

/** The object whose presence means that a backup is there (docs/format.md). */
export const manifestFormat = 2;
export const manifestMaxBytes = 32 * 1024 * 1024;

const size = z.int().min(0);
/** Reasons are words: a reader need not know them all. */
const notes = z.array(z.object({ reason: z.string(), message: z.string(), count: size.optional() })).optional();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const digest = z.object({ bytes: size, sha256 });

const artifact = z.object({
  /** In order; `cat` of the volumes is the artifact. Keys are relative to the location's prefix. */
  volumes: z.array(z.object({ key: z.string(), bytes: size, sha256 })).min(1),
  /** What pg_dump or pg_dumpall wrote. */
  plain: digest,
  /** Sum and hash over all volumes. */
  stored: digest,
  format: z.enum(['custom', 'sql']),
  compression: z.enum(['zstd', 'gzip', 'none']),
  /** Version of the custom archive format, such as 1.15. */
  archiveVersion: z.string().optional(),
});
export type ManifestArtifact = z.infer<typeof artifact>;

const encryption = z.object({
  /** Key of the object that holds the backup's key, wrapped for its recipients. Who rewraps it writes it anew: the manifest says no hash. */
  key: z.string(),
  /** Who could open it when it was written. */
  recipients: z.array(z.string()).min(1),
});

/** What an archive alone does not carry under another name. */
export const databaseFacts = z.object({
  owner: z.string(),
  encoding: z.string(),
  localeProvider: z.string(),
  collate: z.string().optional(),
  ctype: z.string().optional(),
  locale: z.string().optional(),
  icuRules: z.string().optional(),
  collationVersion: z.string().optional(),
  tablespace: z.string(),
  connectionLimit: z.int(),
  acl: z.array(z.string()).optional(),
  comment: z.string().optional(),
  settings: z.array(z.object({ role: z.string().optional(), setting: z.string() })),
  extensions: z.array(z.object({ name: z.string(), version: z.string(), schema: z.string() })),
  roles: z.array(z.string()),
  /** The database holds bytes that are none in its encoding: each character of these texts stands for one byte. */
  textsAreBytes: z.boolean().optional(),
});
export type DatabaseFacts = z.infer<typeof databaseFacts>;

const manifestDatabase = z.object({
  name: z.string(),
  outcome: z.enum(['stored', 'failed', 'skipped']),
  reason: z.enum(failureReasonNames).optional(),
  message: z.string().optional(),
  artifacts: z.array(artifact),
  facts: databaseFacts.optional(),
  notes,
  startedAt: z.string().optional(),
  completedAt: z.string().optional(),
});
export type ManifestDatabase = z.infer<typeof manifestDatabase>;

export const manifest = z.object({
  /** 2 where `encryption` is: a reader that does not know of it refuses the manifest, and takes nothing for damaged. */
  format: z.literal([1, manifestFormat]),
  backup: z.object({ id: z.string(), uid: z.string(), slot: z.string().optional() }),
  policy: z.object({ name: z.string(), uid: z.string() }),
  namespace: z.string(),
  attempt: z.string().regex(/^[0-9a-f]{8}$/),
  startedAt: z.string(),
  completedAt: z.string(),
  tools: z.object({ pgbackup: z.string(), pgDump: z.string() }),
  server: z.object({ version: z.string(), major: z.int() }),
  databases: z.array(manifestDatabase),
  globals: artifact.optional(),
  /** All artifacts are messages under one key. */
  encryption: encryption.optional(),
  /** Of these very bytes, which lies beside the artifacts; a reader of before signatures takes no notice. */
  signature: z.object({ key: z.string(), keyId: z.string() }).optional(),
  /** About the whole run. */
  notes,
  plainBytes: size,
  storedBytes: size,
});
export type Manifest = z.infer<typeof manifest>;

/** All artifacts that a manifest names: those of its databases, and the globals. */
export function listArtifacts({ databases, globals }: Manifest): readonly ManifestArtifact[] {
  return [...databases.flatMap(({ artifacts }) => artifacts), ...(globals === undefined ? [] : [globals])];
}

/** Every object of a backup but its manifest; of those that are written anew nobody knows the size. */
export function listObjects(content: Manifest): readonly { readonly key: string; readonly bytes?: number }[] {
  const volumes = listArtifacts(content).flatMap((each) => each.volumes);
  const { encryption: encrypted, signature } = content;
  return [
    ...volumes,
    ...(encrypted === undefined ? [] : [{ key: encrypted.key }]),
    ...(signature === undefined ? [] : [{ key: signature.key }]),
  ];
}

/** Deterministic bytes: the same manifest is the same everywhere. */
export function printManifest(content: Manifest): string {
  return `${JSON.stringify(content, undefined, 2)}\n`;
}

/**
 * Reads a manifest that was found under `key`.
 * @throws Failure ManifestInvalid when it is damaged, of a newer format, or not where its content says.
 */
export function parseManifest(key: string, text: string): Manifest {
  const parsed = parseManifestAnywhere(key, text);
  const { namespace, policy, backup } = parsed;
  if (manifestKey(namespace, policy.name, backup.id) !== key) {
    throw new Failure('ManifestInvalid', `${key} says it is ${manifestKey(namespace, policy.name, backup.id)}`);
  }
  return parsed;
}

/** The same, wherever it was found. */
export function parseManifestAnywhere(key: string, text: string): Manifest {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new Failure('ManifestInvalid', `${key} is no JSON`, { cause: error });
  }
  const format = z.object({ format: z.int() }).safeParse(content).data?.format;
  if (format !== undefined && format > manifestFormat) {
    throw new Failure('ManifestInvalid', `${key} has format ${format}, newer than ${manifestFormat}`, {
      hint: 'use a newer pgbackup',
    });
  }
  const parsed = manifest.safeParse(content);
  if (!parsed.success) {
    throw new Failure('ManifestInvalid', `${key} does not fit the format: ${z.prettifyError(parsed.error)}`);
  }
  if ((parsed.data.encryption !== undefined) !== (parsed.data.format === manifestFormat)) {
    throw new Failure('ManifestInvalid', `${key} is of format ${parsed.data.format}, and its encryption is not`);
  }
  return parsed.data;
}
