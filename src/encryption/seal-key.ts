import { MultiKeyringNode, RawRsaKeyringNode, type KeyringNode } from '@aws-crypto/client-node';
import { Failure } from '../api/failure.ts';
import { maxRecipients } from './message-head.ts';
import { aesKeyring, client, frameBytes, suiteId } from './message-client.ts';
import { deriveKey, nameOfScrypt, scryptCost } from './passphrase-key.ts';
import { keyNamespace, nameOfKey, nameOfRsa, type Recipient } from './recipient.ts';

export interface SealedKey {
  /** A message of the AWS Encryption SDK that holds the key. */
  readonly bytes: Uint8Array;
  /** Names of those who can open it, in their order. */
  readonly recipients: readonly string[];
}

/**
 * Wraps the key of a backup for all recipients.
 * @param key 256 bits
 * @param context what the key belongs to: authenticated, not secret
 * @param random bytes that nobody foresees, for the salts of passphrases
 * @throws Failure RecipientInvalid when there are none, too many, or one twice
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
  const named: { readonly name: string; readonly keyring: KeyringNode }[] = [];
  for (const recipient of recipients) named.push(await keyringOf(recipient, random));
  const names = named.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Failure('RecipientInvalid', `the recipient ${twice} is there twice`);
  const [first, ...children] = named.map(({ keyring }) => keyring);
  const keyring = new MultiKeyringNode({ ...(first === undefined ? {} : { generator: first }), children });
  const { result } = await client.encrypt(keyring, key, {
    suiteId,
    frameLength: frameBytes,
    encryptionContext: { ...context },
  });
  return { bytes: result, recipients: names };
}

async function keyringOf(
  recipient: Recipient,
  random: (bytes: number) => Uint8Array,
): Promise<{ readonly name: string; readonly keyring: KeyringNode }> {
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
