import { Failure, toFailure } from '../api/failure.ts';
import { backupFolder, signatureKey } from '../domain/layout.ts';
import type { Manifest } from '../domain/manifest.ts';
import { isSignedBy, nameOfSigner, readVerifyingKey, signatureBytes } from '../encryption/signing-key.ts';
import type { Storage } from '../storage/storage.ts';
import { readSmall } from './read-small.ts';

/** Public keys in PEM, one of which must have signed; several lists: one of each. Absent lists ask for nothing. */
export type SignedBy = readonly (readonly string[] | undefined)[];

/**
 * Whether a manifest is signed as it must be. That it is where it says it is has been checked when it was parsed.
 * @param bytes of the manifest, as they are at the place
 * @throws Failure SignatureMissing, SignatureInvalid, SigningKeyInvalid and those of the place
 */
export async function checkSignature(
  storage: Storage,
  { manifest, bytes }: { readonly manifest: Manifest; readonly bytes: Uint8Array },
  signedBy: SignedBy,
  signal: AbortSignal,
): Promise<void> {
  const wanted = signedBy.flatMap((list) => (list === undefined ? [] : [list.map(readVerifyingKey)]));
  if (wanted.length === 0) return;
  const { signature, backup, namespace, policy, attempt } = manifest;
  const of = `the manifest of ${backup.id} in ${storage.name}`;
  if (signature === undefined) throw new Failure('SignatureMissing', `${of} is not signed`);
  if (signature.key !== signatureKey(backupFolder(namespace, policy.name, backup.id), attempt))
    throw new Failure('SignatureInvalid', `${of} names a signature that is not its own`);
  const found = await readSignature(storage, signature.key, of, signal);
  for (const keys of wanted) {
    const key = keys.find((each) => nameOfSigner(each) === signature.keyId);
    if (key === undefined)
      throw new Failure(
        'SignatureInvalid',
        `${of} is signed by ${signature.keyId.slice(0, 100)}, which is none of ${keys.map(nameOfSigner).join(', ')}`,
      );
    if (!isSignedBy(bytes, found, key))
      throw new Failure('SignatureInvalid', `${of} is not what ${nameOfSigner(key)} signed: it was changed, or forged`);
  }
}

/** What lies there is no backup, whatever it says of itself. */
export function isNoBackup({ reason }: Failure): boolean {
  return reason === 'ManifestInvalid' || reason === 'SignatureInvalid' || reason === 'SignatureMissing';
}

async function readSignature(storage: Storage, key: string, of: string, signal: AbortSignal): Promise<Uint8Array> {
  try {
    return await readSmall(storage, key, signatureBytes, signal);
  } catch (error) {
    const { reason } = toFailure(error);
    if (reason === 'ObjectMissing')
      throw new Failure('SignatureMissing', `${of} is signed, but its signature is not there: no ${key}`, {
        cause: error,
      });
    if (reason !== 'ManifestInvalid') throw error;
    throw new Failure('SignatureInvalid', `${of} has a signature that is too long`, { cause: error });
  }
}
