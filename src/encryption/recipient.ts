import { createHash, createHmac, createPublicKey, type KeyObject } from 'node:crypto';
import { Failure } from '../api/failure.ts';
import { regionOfKey, type KmsAccess } from './kms-access.ts';

/** Who can open a backup: what is needed to wrap a key for it. */
export type Recipient =
  /** The writer cannot open what it wraps for it. */
  | { readonly kind: 'rsa'; readonly publicKey: KeyObject }
  /** 256 bits. */
  | { readonly kind: 'key'; readonly key: Uint8Array }
  | { readonly kind: 'passphrase'; readonly passphrase: string }
  /** A key of AWS KMS by id, ARN or alias; the writer needs kms:Encrypt, and cannot open what it wraps without kms:Decrypt. */
  | { readonly kind: 'kms'; readonly keyId: string; readonly region: string; readonly access: KmsAccess };

export const keyNamespace = 'pgbackup';
const minModulusBits = 2048;
const maxModulusBits = 8192;

/** `rsa:` and the SHA-256 of the public key (SubjectPublicKeyInfo, DER) in hexadecimal. */
export function nameOfRsa(publicKey: KeyObject): string {
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return `rsa:${createHash('sha256').update(der).digest('hex')}`;
}

/** `aes:` and a keyed hash, in hexadecimal: it says nothing about the key. */
export function nameOfKey(key: Uint8Array): string {
  return `aes:${createHmac('sha256', key).update('pgbackup key name').digest('hex').slice(0, 32)}`;
}

/**
 * A public key as PEM: SubjectPublicKeyInfo, PKCS #1, or a certificate. A private key is refused: it has no business with a writer.
 * @throws Failure RecipientInvalid
 */
export function readRsaRecipient(pem: string): Recipient {
  if (pem.includes('PRIVATE KEY-----'))
    throw invalid('it is a private key', 'give the public key only: openssl pkey -in key.pem -pubout');
  let publicKey: KeyObject;
  try {
    publicKey = createPublicKey(pem);
  } catch (error) {
    const hint = 'give a PEM block "-----BEGIN PUBLIC KEY-----", as pgbackup keygen and openssl pkey -pubout print it';
    throw invalid('it is no public key in PEM', hint, error);
  }
  const { asymmetricKeyType, asymmetricKeyDetails } = publicKey;
  const bits = asymmetricKeyDetails?.modulusLength ?? 0;
  const hint = 'make one with pgbackup keygen, or openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096';
  if (asymmetricKeyType !== 'rsa') throw invalid(`it is a key of type ${asymmetricKeyType}, not RSA`, hint);
  if (bits < minModulusBits || bits > maxModulusBits)
    throw invalid(`it has ${bits} bits: ${minModulusBits} to ${maxModulusBits} are taken`, hint);
  return { kind: 'rsa', publicKey };
}

/**
 * A key of 256 bits: 32 bytes as they are, or as 64 hexadecimal digits, or in base64; space around is passed over.
 * @param reason whose key it is
 * @throws Failure of that reason
 */
export function readKey(bytes: Uint8Array, reason: 'RecipientInvalid' | 'IdentityInvalid'): Uint8Array {
  if (bytes.length === 32) return bytes;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1').trim();
  if (/^[0-9a-fA-F]{64}$/.test(text)) return new Uint8Array(Buffer.from(text, 'hex'));
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return new Uint8Array(Buffer.from(text, 'base64'));
  throw new Failure(reason, 'it is no key of 256 bits', {
    hint: 'give 32 bytes as 64 hexadecimal digits or in base64: openssl rand -base64 32',
  });
}

const minPassphrase = 12;

/** As it is taken: without the line end of a file, and whatever way a keyboard composed it. */
export const normalPassphrase = (text: string): string => text.replace(/\r?\n$/, '').normalize('NFC');

/** @throws Failure RecipientInvalid when it is so short that it can be guessed */
export function readPassphrase(text: string): Recipient {
  const passphrase = normalPassphrase(text);
  if (passphrase.length < minPassphrase)
    throw invalid(
      `a passphrase of less than ${minPassphrase} characters can be guessed`,
      'give six random words or more',
    );
  return { kind: 'passphrase', passphrase };
}

/**
 * What a file holds, by its content: a public key in PEM, a key of 256 bits, else a passphrase.
 * @throws Failure RecipientInvalid
 */
export function recogniseRecipient(bytes: Uint8Array): Recipient {
  const text = Buffer.from(bytes).toString('utf8');
  if (text.includes('-----BEGIN ')) return readRsaRecipient(text);
  try {
    return { kind: 'key', key: readKey(bytes, 'RecipientInvalid') };
  } catch {
    const passphrase = readPassphrase(text);
    if (text.trim().includes('\n')) throw invalid('it is no public key, key or passphrase', 'a passphrase is one line');
    return passphrase;
  }
}

/** The name that it has in every key file; undefined where each one has another (passphrases), or AWS KMS will tell. */
export function fixedNameOf(recipient: Recipient): string | undefined {
  if (recipient.kind === 'rsa') return nameOfRsa(recipient.publicKey);
  if (recipient.kind === 'key') return nameOfKey(recipient.key);
  return recipient.kind === 'kms' && regionOfKey(recipient.keyId) !== undefined ? recipient.keyId : undefined;
}

function invalid(why: string, hint: string, cause?: unknown): Failure {
  return new Failure('RecipientInvalid', why, { hint, cause });
}
