import { createPublicKey } from 'node:crypto';
import { RawRsaKeyringNode, type KeyringNode } from '@aws-crypto/client-node';
import { Failure } from '../api/failure.ts';
import { compareContext } from './compare-context.ts';
import type { Identity } from './identity.ts';
import { aesKeyring, client, suiteName } from './message-client.ts';
import { walkFrames } from './message-end.ts';
import { NoMessage, readMessageHead, type MessageHead } from './message-head.ts';
import { deriveKey, parseScryptName } from './passphrase-key.ts';
import { keyNamespace, nameOfKey, nameOfRsa } from './recipient.ts';

const keyBytes = 32;

/** For whom a sealed key is, without any key. @throws Failure KeyDamaged */
export function readSealedHead(bytes: Uint8Array): MessageHead {
  let head: MessageHead | undefined;
  try {
    head = readMessageHead(bytes);
  } catch (error) {
    if (error instanceof NoMessage) throw damaged(error.message, error);
    throw error;
  }
  if (head === undefined) throw damaged('it ends within its head');
  if (head.suite !== suiteName) throw damaged(`it is of algorithm suite ${head.suite}, not of ours`);
  const frames = walkFrames(head.frameBytes);
  try {
    frames.walk(bytes, head.bytes);
  } catch (error) {
    throw damaged(error instanceof Error ? error.message : String(error), error);
  }
  return head;
}

/**
 * The key of a backup.
 * @param context what it must belong to
 * @throws Failure IdentityMissing when no identity is of a recipient, with the names of those that there are; KeyDamaged when it was
 *   changed, or belongs to something else
 */
export async function openKey(
  bytes: Uint8Array,
  identities: readonly Identity[],
  context: Readonly<Record<string, string>>,
): Promise<Uint8Array> {
  const head = readSealedHead(bytes);
  const names = head.recipients.map(({ name }) => name);
  const keyrings: KeyringNode[] = [];
  let last: unknown;
  /** Of a passphrase nobody can tell whether it is another one or the key is damaged. */
  let isKnown = false;
  for (const identity of identities) {
    const found = await keyringsOf(identity, names);
    keyrings.push(...found);
    isKnown ||= identity.kind !== 'passphrase' && found.length > 0;
  }
  for (const keyring of keyrings) {
    try {
      const { plaintext, messageHeader } = await client.decrypt(keyring, bytes);
      compareContext(messageHeader.encryptionContext, context, damaged);
      if (plaintext.length !== keyBytes)
        throw damaged(`it holds ${plaintext.length} bytes where a key has ${keyBytes}`);
      return Uint8Array.from(plaintext);
    } catch (error) {
      if (error instanceof Failure) throw error;
      last = error;
    }
  }
  if (!isKnown) throw missing(names, identities.length, last);
  throw damaged('no identity opens it, although one is of a recipient', last);
}

async function keyringsOf(identity: Identity, names: readonly string[]): Promise<readonly KeyringNode[]> {
  if (identity.kind === 'rsa') {
    const { privateKey } = identity;
    const name = nameOfRsa(createPublicKey(privateKey));
    if (!names.includes(name)) return [];
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    return [new RawRsaKeyringNode({ keyNamespace, keyName: name, rsaKey: { privateKey: pem }, oaepHash: 'sha256' })];
  }
  if (identity.kind === 'key') {
    const name = nameOfKey(identity.key);
    return names.includes(name) ? [aesKeyring(name, identity.key)] : [];
  }
  const found: KeyringNode[] = [];
  for (const name of names) {
    const parameters = parseScryptName(name);
    if (parameters !== undefined) found.push(aesKeyring(name, await deriveKey(identity.passphrase, parameters)));
  }
  return found;
}

function missing(names: readonly string[], given: number, cause?: unknown): Failure {
  const what = given === 0 ? 'no identity is given' : `none of the ${given} identities given opens it`;
  return new Failure('IdentityMissing', `${what}; it is for ${names.join(', ')}`, { cause });
}

function damaged(what: string, cause?: unknown): Failure {
  return new Failure('KeyDamaged', `the key of the backup cannot be used: ${what}`, { cause });
}
