import { createPrivateKey, type KeyObject } from 'node:crypto';
import { Failure } from '../api/failure.ts';
import type { KmsAccess } from './kms-access.ts';
import { normalPassphrase, readKey } from './recipient.ts';

/** What opens a backup. */
export type Identity =
  | { readonly kind: 'rsa'; readonly privateKey: KeyObject }
  | { readonly kind: 'key'; readonly key: Uint8Array }
  | { readonly kind: 'passphrase'; readonly passphrase: string }
  /** Asks AWS KMS for the keys that a message names, and for no others. */
  | { readonly kind: 'kms'; readonly access: KmsAccess };

/** `key.enc` with the most recipients is smaller. */
export const sealedKeyMaxBytes = 64 * 1024;

/**
 * @param pem PKCS #8 or PKCS #1; with `passphrase` if it is encrypted
 * @throws Failure IdentityInvalid
 */
export function readRsaIdentity(pem: string, passphrase?: string): Identity {
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey({ key: pem, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (error) {
    throw new Failure('IdentityInvalid', 'it is no private key in PEM that can be read', {
      hint: 'give the block "-----BEGIN PRIVATE KEY-----" that belongs to the public key of a recipient, and its passphrase if it has one',
      cause: error,
    });
  }
  if (privateKey.asymmetricKeyType !== 'rsa')
    throw new Failure('IdentityInvalid', `it is a key of type ${privateKey.asymmetricKeyType}, not RSA`);
  return { kind: 'rsa', privateKey };
}

/**
 * What a file holds, by its content: a private key in PEM, a key of 256 bits, else a passphrase.
 * @throws Failure IdentityInvalid
 */
export function recogniseIdentity(bytes: Uint8Array, passphraseOfPem?: string): Identity {
  const text = Buffer.from(bytes).toString('utf8');
  if (text.includes('-----BEGIN ')) return readRsaIdentity(text, passphraseOfPem);
  try {
    return { kind: 'key', key: readKey(bytes, 'IdentityInvalid') };
  } catch {
    const passphrase = normalPassphrase(text);
    if (passphrase === '' || passphrase.includes('\n'))
      throw new Failure('IdentityInvalid', 'it is no private key, key or passphrase');
    return { kind: 'passphrase', passphrase };
  }
}
