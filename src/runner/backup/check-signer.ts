import { Failure } from '../../api/failure.ts';
import type { TaskLocation } from '../../domain/task.ts';
import { nameOfSigner, readVerifyingKey } from '../../encryption/signing-key.ts';
import type { Signer } from './open-signer.ts';

/** What is stored where it would not count is no backup. @throws Failure SignatureMissing, SignatureInvalid, SigningKeyInvalid */
export function checkSigner({ name, signedBy }: TaskLocation, signer: Signer | undefined): void {
  if (signedBy === undefined) return;
  if (signer === undefined) throw new Failure('SignatureMissing', `the location ${name} takes signed manifests only`);
  const names = signedBy.map((pem) => nameOfSigner(readVerifyingKey(pem)));
  if (!names.includes(signer.keyId))
    throw new Failure('SignatureInvalid', `the location ${name} takes manifests signed by ${names.join(', ')}`, {
      hint: `add the public key of ${signer.keyId} to signatures.publicKeys of the BackupLocation`,
    });
}
