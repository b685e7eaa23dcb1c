import { shortHash } from './attempt.ts';

/** Where things lie in storage (docs/format.md). Keys are relative to the location's prefix. */

/** All that a probe ever writes begins so. */
export const probePrefix = '.pgbackup-probe';
/** Stands for a try in the keys of probes whose objects stay (AppendOnly). */
export const keptProbe = 'kept';

/** Who looks at a place: one BackupLocation of one cluster, as 8 hexadecimal digits (FNV-1a of its uid). */
export function inspectorOf(locationUid: string): string {
  return shortHash(locationUid);
}

/** Where one try of one inspector writes: no two ever meet. */
export function probeFolder(inspector: string, attempt: string): string {
  return `${probePrefix}-${inspector}/${attempt}/`;
}

/** What a probe's key says, or undefined when no probe wrote it. Without inspector: of a version before there were several. */
export function parseProbeKey(key: string): { readonly inspector?: string; readonly attempt?: string } | undefined {
  if (key === probePrefix) return {};
  const match = /^\.pgbackup-probe-([0-9a-f]{8})\/([0-9a-f]{8}|kept)\/[a-z]{1,16}$/.exec(key);
  const [, inspector, attempt] = match ?? [];
  return inspector === undefined || attempt === undefined ? undefined : { inspector, attempt };
}

/** Artifacts of a run are databases and, under a name that no database key has, the globals. */
export type ArtifactName =
  | {
      readonly database: string;
      /** Capitals are encoded, too: another database of the run has this name but for upper and lower case, which not every place tells apart. */
      readonly hasTwin?: boolean;
      readonly again?: number;
    }
  | {
      readonly globals: true;
      /** From 2 on: a dump that is tried again within the run, where something of the one before could not be deleted. */
      readonly again?: number;
    };

export const compressionSuffix = { zstd: '.zst', gzip: '.gz', none: '' } as const;

/** Percent-encodes every UTF-8 byte that is not unreserved, and a leading dot, so that any identifier round-trips as one segment. */
export function encodeDatabaseName(database: string, hasTwin = false): string {
  const escape = (char: string): string => `%${char.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(database)
    .replaceAll(/[!'()*~]/g, escape)
    .replaceAll(/%[0-9A-F]{2}|[A-Z]/g, (part) => (hasTwin && part.length === 1 ? escape(part) : part))
    .replace(/^\./, '%2E');
}

export function decodeDatabaseName(segment: string): string {
  return decodeURIComponent(segment);
}

export function backupFolder(namespace: string, policy: string, backup: string): string {
  return `${namespace}/${policy}/${backup}/`;
}

export function manifestKey(namespace: string, policy: string, backup: string): string {
  return `${backupFolder(namespace, policy, backup)}manifest.json`;
}

/** What a manifest's key says, or undefined when the key is not of that grammar. */
export function parseManifestKey(
  key: string,
): { readonly namespace: string; readonly policy: string; readonly backup: string } | undefined {
  const match = /^([a-z0-9-]{1,63})\/([a-z0-9-]{1,40})\/([a-z0-9-]{1,57})\/manifest\.json$/.exec(key);
  if (match === null) return undefined;
  const [, namespace, policy, backup] = match;
  if (namespace === undefined || policy === undefined || backup === undefined) return undefined;
  return { namespace, policy, backup };
}

export interface ArtifactForm {
  readonly compression: keyof typeof compressionSuffix;
  readonly isEncrypted: boolean;
}

/** Key of a volume; `volume` counts from 1. */
export function volumeKey(
  folder: string,
  attempt: string,
  artifact: ArtifactName,
  { compression, isEncrypted }: ArtifactForm,
  volume: number,
): string {
  const { again = 1 } = artifact;
  // No name of a database has this sign in a key.
  const suffix = again === 1 ? '' : `~${again}`;
  const name =
    'database' in artifact
      ? `${encodeDatabaseName(artifact.database, artifact.hasTwin)}${suffix}.dump`
      : `globals${suffix}.sql`;
  const number = volume === 1 ? '' : `.${String(volume).padStart(4, '0')}`;
  return `${folder}${attempt}/${name}${compressionSuffix[compression]}${isEncrypted ? '.enc' : ''}${number}`;
}

/** The key of an encrypted backup, wrapped for its recipients. */
export function sealedKeyKey(folder: string, attempt: string): string {
  return `${folder}${attempt}/key.enc`;
}

/** The signature of the manifest of a try. */
export function signatureKey(folder: string, attempt: string): string {
  return `${folder}${attempt}/manifest.sig`;
}

/** A small object by which a run that has several destinations tells them apart; gone before the dump begins. */
export function placeMarkKey(folder: string, attempt: string, location: string): string {
  return `${folder}${attempt}/.place-${location}`;
}

const attemptGrammar =
  /^([a-z0-9-]{1,63})\/([a-z0-9-]{1,40})\/([a-z0-9-]{1,57})\/([0-9a-f]{8})\/(?:[A-Za-z0-9_%-][A-Za-z0-9_.%-]*(?:~[0-9]{1,2})?\.dump(?:\.zst|\.gz)?(?:\.enc)?(?:\.[0-9]{4,6})?|globals(?:~[0-9]{1,2})?\.sql(?:\.zst|\.gz)?(?:\.enc)?(?:\.[0-9]{4,6})?|key\.enc|manifest\.sig|\.place-[a-z0-9-]{1,63})$/;

export interface AttemptPlace {
  readonly namespace: string;
  readonly policy: string;
  readonly backup: string;
  readonly attempt: string;
}

/** What the key of a volume, or of a mark, says; undefined when no run wrote it. */
export function parseAttemptKey(key: string): AttemptPlace | undefined {
  const [, namespace, policy, backup, attempt] = attemptGrammar.exec(key) ?? [];
  if (namespace === undefined || policy === undefined || backup === undefined || attempt === undefined)
    return undefined;
  return { namespace, policy, backup, attempt };
}

/**
 * Whose it is by its key: the namespace of the run that stored it; undefined when no run did. Capitals count as small letters, as in
 * folders that do not tell them apart.
 */
export function ownerOfKey(key: string): string | undefined {
  const small = key.toLowerCase();
  return (parseAttemptKey(small) ?? parseManifestKey(small))?.namespace;
}

/** The same of what is unfinished: a volume's upload, or a temporary file in the folder of an attempt. */
export function parseUnfinishedKey(key: string, isUpload: boolean): AttemptPlace | undefined {
  return parseAttemptKey(isUpload ? key : key.replace(/[^/]*$/, 'any.dump'));
}

/** An artifact is cut into volumes of at most this many bytes: 1 000 parts of 8 MiB. */
export const defaultVolumeBytes = 1000 * 8 * 1024 * 1024;
