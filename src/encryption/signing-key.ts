import { createHash, createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { Failure } from '../api/failure.ts';

/** Of Ed25519. */
export const signatureBytes = 64;
/** Stands before the bytes of a manifest when it is signed: the signature says nothing about any other bytes. */
const domain = Buffer.from('pgbackup manifest 1\n');

/** `ed25519:` and the SHA-256 of the public key (SubjectPublicKeyInfo, DER) in hexadecimal. */
export function nameOfSigner(publicKey: KeyObject): string {
  return `ed25519:${createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')}`;
}

/** @param pem a private key, PKCS #8 @throws Failure SigningKeyInvalid */
export function readSigningKey(pem: string): KeyObject {
  const hint = 'make one with pgbackup keygen --signing, or openssl genpkey -algorithm ed25519';
  return requireEd25519(() => createPrivateKey(pem), 'a private key', hint);
}

/** @param pem SubjectPublicKeyInfo; a private key is refused @throws Failure SigningKeyInvalid */
export function readVerifyingKey(pem: string): KeyObject {
  const hint = 'give the block "-----BEGIN PUBLIC KEY-----" of openssl pkey -in signing-key.pem -pubout';
  if (pem.includes('PRIVATE KEY-----')) throw invalid('it is a private key where a public one is wanted', hint);
  return requireEd25519(() => createPublicKey(pem), 'a public key', hint);
}

function requireEd25519(read: () => KeyObject, what: string, hint: string): KeyObject {
  let key: KeyObject;
  try {
    key = read();
  } catch (error) {
    throw invalid(`it is not ${what} in PEM that can be read`, hint, error);
  }
  if (key.asymmetricKeyType !== 'ed25519')
    throw invalid(`it is a key of type ${key.asymmetricKeyType}, not Ed25519`, hint);
  return key;
}

function invalid(why: string, hint: string, cause?: unknown): Failure {
  return new Failure('SigningKeyInvalid', `a key of signatures: ${why}`, { hint, cause });
}

/** 64 bytes, the same for the same manifest. */
export function signManifest(manifest: Uint8Array, privateKey: KeyObject): Uint8Array {
  return new Uint8Array(sign(undefined, Buffer.concat([domain, manifest]), privateKey));
}

export function isSignedBy(manifest: Uint8Array, signature: Uint8Array, publicKey: KeyObject): boolean {
  if (signature.length !== signatureBytes) return false;
  return verify(undefined, Buffer.concat([domain, manifest]), publicKey, signature);
}
