import { createPublicKey, generateKeyPair, generateKeyPairSync } from 'node:crypto';
import { nameOfRsa } from './recipient.ts';
import { nameOfSigner } from './signing-key.ts';

/** A key pair in PEM: PKCS #8, and SubjectPublicKeyInfo; and the name that its recipient or signer has. */
export interface KeyPair {
  readonly privateKey: string;
  readonly publicKey: string;
  readonly name: string;
}

/** @param bits 2 048 to 8 192 */
export async function makeKeyPair(bits: number): Promise<KeyPair> {
  const options = {
    modulusLength: bits,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  } as const;
  const { privateKey, publicKey } = await new Promise<{ readonly privateKey: string; readonly publicKey: string }>(
    (resolve, reject) => {
      generateKeyPair('rsa', options, (error, made, privatePem) => {
        if (error === null) resolve({ publicKey: made, privateKey: privatePem });
        else reject(error);
      });
    },
  );
  return { privateKey, publicKey, name: nameOfRsa(createPublicKey(publicKey)) };
}

/** Ed25519, for signatures of manifests. */
export function makeSigningPair(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519', {
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return { privateKey, publicKey, name: nameOfSigner(createPublicKey(publicKey)) };
}
