import { createPublicKey } from 'node:crypto';
import type { BackupTask } from '../../domain/task.ts';
import { nameOfSigner, readSigningKey, signManifest } from '../../encryption/signing-key.ts';
import type { Workshop } from '../workshop.ts';

/** What signs the manifest of a run. */
export interface Signer {
  readonly keyId: string;
  /** PEM. */
  readonly publicKey: string;
  readonly sign: (manifest: Uint8Array) => Uint8Array;
}

/** Undefined: manifests are not signed. @throws Failure SecretMissing, SecretInvalid, SigningKeyInvalid */
export async function openSigner(
  { signing }: Pick<BackupTask, 'signing'>,
  { secrets }: Pick<Workshop, 'secrets'>,
  signal: AbortSignal,
): Promise<Signer | undefined> {
  if (signing === undefined) return undefined;
  const { signingKey = '' } = await secrets.read(signing.key, { oneOf: [['signingKey']] }, signal);
  const privateKey = readSigningKey(signingKey);
  const publicKey = createPublicKey(privateKey);
  return {
    keyId: nameOfSigner(publicKey),
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    sign: (manifest) => signManifest(manifest, privateKey),
  };
}
