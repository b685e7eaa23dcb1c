import { Failure, toFailure } from '../../../api/failure.ts';
import { contextOfArtifact, contextOfKey } from '../../../domain/encryption-context.ts';
import type { ArtifactName } from '../../../domain/layout.ts';
import type { Manifest } from '../../../domain/manifest.ts';
import type { TaskIdentity } from '../../../domain/task.ts';
import { readRsaIdentity, sealedKeyMaxBytes, type Identity } from '../../../encryption/identity.ts';
import { normalPassphrase, readKey } from '../../../encryption/recipient.ts';
import type { Stage } from '../../../pipeline/bytes.ts';
import type { Storage } from '../../../storage/storage.ts';
import { readKmsAccess } from '../../read-kms-access.ts';
import { readSmall } from '../../read-small.ts';
import type { Workshop } from '../../workshop.ts';

/** What decrypts an artifact of one backup. */
export type Decipher = (name: ArtifactName) => Stage;

/**
 * Opens the key of an encrypted backup; undefined: it is not encrypted.
 * @throws Failure IdentityMissing, IdentityInvalid, KeyDamaged, SecretMissing, SecretInvalid, those of AWS KMS and of the place
 */
export async function openDecipher(
  manifest: Manifest,
  storage: Storage,
  wanted: readonly TaskIdentity[],
  workshop: Workshop,
): Promise<Decipher | undefined> {
  const { encryption } = manifest;
  if (encryption === undefined) return undefined;
  const sealed = await readSealed(encryption.key, storage, workshop.signal);
  const identities: Identity[] = [];
  for (const identity of wanted) identities.push(await readIdentity(identity, workshop));
  // Not before it is needed: the library takes memory.
  const [{ openKey }, { decryptBytes }] = await Promise.all([
    import('../../../encryption/open-key.ts'),
    import('../../../encryption/decrypt-bytes.ts'),
  ]);
  const key = await openKey(sealed, identities, contextOfKey(manifest));
  return (name) => decryptBytes(key, contextOfArtifact(manifest, name));
}

async function readSealed(key: string, storage: Storage, signal: AbortSignal): Promise<Buffer> {
  try {
    return await readSmall(storage, key, sealedKeyMaxBytes, signal);
  } catch (error) {
    const { reason, message } = toFailure(error);
    if (reason !== 'ObjectMissing' && reason !== 'ManifestInvalid') throw error;
    throw new Failure('KeyDamaged', `the key of the backup in ${storage.name} cannot be used: ${message}`, {
      cause: error,
    });
  }
}

async function readIdentity({ privateKey, key, passphrase, kms }: TaskIdentity, workshop: Workshop): Promise<Identity> {
  const { secrets, signal } = workshop;
  if (kms !== undefined) return { kind: 'kms', access: await readKmsAccess(kms, workshop) };
  if (privateKey !== undefined) {
    const found = await secrets.read(privateKey, { oneOf: [['privateKey']], optional: ['passphrase'] }, signal);
    return readRsaIdentity(found['privateKey'] ?? '', found['passphrase']);
  }
  if (key !== undefined) {
    const found = await secrets.read(key, { oneOf: [['key']] }, signal);
    return { kind: 'key', key: readKey(Buffer.from(found['key'] ?? ''), 'IdentityInvalid') };
  }
  if (passphrase === undefined) throw new Failure('TaskInvalid', 'an identity of the task is of no kind');
  const found = await secrets.read(passphrase, { oneOf: [['passphrase']] }, signal);
  return { kind: 'passphrase', passphrase: normalPassphrase(found['passphrase'] ?? '') };
}
