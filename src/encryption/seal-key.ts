import { MultiKeyringNode, RawRsaKeyringNode, type KeyringNode } from '@aws-crypto/client-node';
import { Failure } from '../api/failure.ts';
import { regionOfKey } from './kms-access.ts';
import { openKmsKeyring } from './kms-keyring.ts';
import { maxRecipients, readMessageHead } from './message-head.ts';
import { aesKeyring, client, frameBytes, suiteId } from './message-client.ts';
import { NewKeyKeyring } from './new-key-keyring.ts';
import { deriveKey, nameOfScrypt, scryptCost } from './passphrase-key.ts';
import { keyNamespace, nameOfKey, nameOfRsa, type Recipient } from './recipient.ts';

export interface SealedKey {
  /** A message of the AWS Encryption SDK that holds the key. */
  readonly bytes: Uint8Array;
  /** Names of those who can open it, in their order; of keys of AWS KMS their ARNs. */
  readonly recipients: readonly string[];
}

/**
 * Wraps the key of a backup for all recipients.
 * @param key 256 bits
 * @param context what the key belongs to: authenticated, not secret
 * @param random bytes that nobody foresees, for the salts of passphrases
 * @throws Failure RecipientInvalid when there are none, too many, or one twice; those of AWS KMS
 */
export async function sealKey(
  key: Uint8Array,
  recipients: readonly Recipient[],
  context: Readonly<Record<string, string>>,
  random: (bytes: number) => Uint8Array,
): Promise<SealedKey> {
  if (recipients.length === 0 || recipients.length > maxRecipients)
    throw new Failure(
      'RecipientInvalid',
      `a key is for 1 to ${maxRecipients} recipients, not for ${recipients.length}`,
    );
  const wrapping: Wrapping[] = [];
  try {
    for (const recipient of recipients) wrapping.push(await wrappingFor(recipient, random));
    requireDistinct(wrapping.flatMap(({ name }) => name ?? []));
    const keyring = new MultiKeyringNode({
      generator: new NewKeyKeyring(random),
      children: wrapping.map((one) => one.keyring),
    });
    const { result } = await client.encrypt(keyring, key, {
      suiteId,
      frameLength: frameBytes,
      encryptionContext: { ...context },
    });
    const names = (readMessageHead(result)?.recipients ?? []).map(({ name }) => name);
    requireDistinct(names);
    // An alias may move: what KMS answered with is what the key file is for.
    const unknown = wrapping.findIndex(({ name }, index) => name === undefined && !isKeyArn(names[index]));
    if (unknown >= 0)
      throw new Failure(
        'KmsConfigInvalid',
        `recipient ${unknown + 1}: what answers names no key, but ${names[unknown]}`,
        {
          hint: 'correct kms.endpoint: what answers there is no AWS KMS',
        },
      );
    return { bytes: result, recipients: names };
  } finally {
    for (const { close } of wrapping) close?.();
  }
}

interface Wrapping {
  /** Undefined: AWS KMS will tell. */
  readonly name?: string;
  readonly keyring: KeyringNode;
  readonly close?: () => void;
}

function requireDistinct(names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Failure('RecipientInvalid', `the recipient ${twice} is there twice`);
}

const isKeyArn = (name: string | undefined): boolean => name !== undefined && regionOfKey(name) !== undefined;

async function wrappingFor(recipient: Recipient, random: (bytes: number) => Uint8Array): Promise<Wrapping> {
  if (recipient.kind === 'kms') return openKmsKeyring(recipient.keyId, recipient.region, recipient.access);
  if (recipient.kind === 'rsa') {
    const { publicKey } = recipient;
    const name = nameOfRsa(publicKey);
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const rsa = { keyNamespace, keyName: name, rsaKey: { publicKey: pem }, oaepHash: 'sha256' } as const;
    return { name, keyring: new RawRsaKeyringNode(rsa) };
  }
  if (recipient.kind === 'key') {
    const name = nameOfKey(recipient.key);
    return { name, keyring: aesKeyring(name, recipient.key) };
  }
  const parameters = { ...scryptCost, salt: random(16) };
  const name = nameOfScrypt(parameters);
  return { name, keyring: aesKeyring(name, await deriveKey(recipient.passphrase, parameters)) };
}
