import { Failure } from '../api/failure.ts';
import { contextOfKey } from '../domain/encryption-context.ts';
import { backupFolder, sealedKeyKey } from '../domain/layout.ts';
import { manifestMaxBytes, parseManifest, type Manifest } from '../domain/manifest.ts';
import { sealedKeyMaxBytes, type Identity } from '../encryption/identity.ts';
import { openKey, readSealedHead } from '../encryption/open-key.ts';
import { fixedNameOf, type Recipient } from '../encryption/recipient.ts';
import { sealKey, type SealedKey } from '../encryption/seal-key.ts';
import { readSmall } from '../runner/read-small.ts';
import type { Storage } from '../storage/storage.ts';
import { WholeBytes } from '../storage/whole-bytes.ts';

export interface RewrapWanted {
  /** Of who opens it now. */
  readonly identities: readonly Identity[];
  /** For whom it is afterwards: for nobody else. */
  readonly recipients: readonly Recipient[];
  /** Nothing is written. */
  readonly dryRun: boolean;
  readonly random: (bytes: number) => Uint8Array;
}

export interface Rewrapped {
  readonly outcome: 'Rewrapped' | 'WouldChange' | 'Unchanged' | 'NotEncrypted';
  /** Names of recipients. */
  readonly before: readonly string[];
  readonly after: readonly string[];
  /** The new key file was opened, and holds the same key: one of its identities was at hand. */
  readonly proven: boolean;
}

/**
 * Wraps the key of one stored backup for other recipients; data and manifest stay as they are. The key file is the old one or the new one at
 * every moment: it is replaced in one step, after the new one was proven as far as it can be.
 * @param manifestKey of the backup
 * @throws Failure IdentityMissing, KeyDamaged, RecipientInvalid, ManifestInvalid, StoredBytesDiffer, those of AWS KMS and of the place
 */
export async function rewrapBackup(
  storage: Storage,
  manifestKey: string,
  { identities, recipients, dryRun, random }: RewrapWanted,
  signal: AbortSignal,
): Promise<Rewrapped> {
  const text = await readSmall(storage, manifestKey, manifestMaxBytes, signal);
  const manifest = parseManifest(manifestKey, text.toString('utf8'));
  if (manifest.encryption === undefined) return { outcome: 'NotEncrypted', before: [], after: [], proven: true };
  const key = keyOf(manifest);
  const old = await readSmall(storage, key, sealedKeyMaxBytes, signal);
  const before = readSealedHead(old).recipients.map(({ name }) => name);
  const context = contextOfKey(manifest);
  const secret = await openKey(old, identities, context);
  const fixed = recipients.map(fixedNameOf);
  if (fixed.every((name) => name !== undefined) && isSameSet(fixed, before))
    return { outcome: 'Unchanged', before, after: before, proven: true };
  if (dryRun) return { outcome: 'WouldChange', before, after: recipients.map(expectedName), proven: false };
  const sealed = await sealKey(secret, recipients, context, random);
  const proven = await prove(sealed, secret, [...identities, ...recipients.flatMap(openerOf)], context);
  await storage.put(key, new WholeBytes(sealed.bytes), { inOneStep: true }, signal);
  const stored = await readSmall(storage, key, sealedKeyMaxBytes, signal);
  if (!stored.equals(sealed.bytes))
    throw new Failure('StoredBytesDiffer', `${key} in ${storage.name} is not what was written`, {
      hint: 'if somebody else rewrapped it at this moment, look with pgbackup recipients; else look at the place',
    });
  return { outcome: 'Rewrapped', before, after: sealed.recipients, proven };
}

/** Where its key file must lie: what a manifest says is not written over otherwise. */
function keyOf({ namespace, policy, backup, attempt, encryption }: Manifest): string {
  const key = sealedKeyKey(backupFolder(namespace, policy.name, backup.id), attempt);
  if (encryption?.key === key) return key;
  throw new Failure('ManifestInvalid', `the manifest of ${backup.id} names a key file that is not its own`);
}

/** @throws Failure KeyDamaged when it holds another key */
async function prove(
  { bytes }: SealedKey,
  secret: Uint8Array,
  openers: readonly Identity[],
  context: Readonly<Record<string, string>>,
): Promise<boolean> {
  try {
    if (Buffer.from(await openKey(bytes, openers, context)).equals(secret)) return true;
  } catch (error) {
    // Who may write for a recipient need not be able to read for it.
    if (error instanceof Failure && (error.reason === 'IdentityMissing' || error.reason === 'KmsDenied')) return false;
    throw error;
  }
  throw new Failure('KeyDamaged', 'the new key file holds another key: nothing was written');
}

function openerOf(recipient: Recipient): readonly Identity[] {
  return recipient.kind === 'key' || recipient.kind === 'passphrase' ? [recipient] : [];
}

function expectedName(recipient: Recipient): string {
  return fixedNameOf(recipient) ?? (recipient.kind === 'kms' ? recipient.keyId : 'scrypt:…');
}

function isSameSet(one: readonly string[], other: readonly string[]): boolean {
  return JSON.stringify([...one].sort()) === JSON.stringify([...other].sort());
}
