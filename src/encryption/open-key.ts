import { createPublicKey } from 'node:crypto';
import { RawRsaKeyringNode, type KeyringNode } from '@aws-crypto/client-node';
import { Failure } from '../api/failure.ts';
import { compareContext } from './compare-context.ts';
import type { Identity } from './identity.ts';
import { regionOfKey, type KmsAccess } from './kms-access.ts';
import { openKmsKeyring } from './kms-keyring.ts';
import { aesKeyring, client, suiteName } from './message-client.ts';
import { walkFrames } from './message-end.ts';
import { NoMessage, readMessageHead, type HeadRecipient, type MessageHead } from './message-head.ts';
import { deriveKey, nameOfScrypt, parseScryptNames } from './passphrase-key.ts';
import { keyNamespace, nameOfKey, nameOfRsa } from './recipient.ts';

const keyBytes = 32;
const kmsProvider = 'aws-kms';

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
 *   changed, or belongs to something else; those of AWS KMS, one that passes first, when no other identity opens it
 */
export async function openKey(
  bytes: Uint8Array,
  identities: readonly Identity[],
  context: Readonly<Record<string, string>>,
): Promise<Uint8Array> {
  const head = readSealedHead(bytes);
  const names = head.recipients.map(({ name }) => name);
  // Before anybody is asked on a stranger's word; below it is proven.
  compareContext(head.context, context, damaged);
  let last: unknown;
  /** Of a passphrase nobody can tell whether it is another one or the key is damaged. */
  let isKnown = false;
  const refusals: Failure[] = [];
  for await (const { keyring, isNamed, refusal } of listKeyrings(identities, head.recipients)) {
    try {
      const { plaintext, messageHeader } = await client.decrypt(keyring, bytes);
      compareContext(messageHeader.encryptionContext, context, damaged);
      if (plaintext.length !== keyBytes)
        throw damaged(`it holds ${plaintext.length} bytes where a key has ${keyBytes}`);
      return Uint8Array.from(plaintext);
    } catch (error) {
      if (error instanceof Failure) throw error;
      const refused = refusal?.();
      if (refused === undefined) isKnown ||= isNamed;
      else refusals.push(refused);
      last = error;
    }
  }
  if (isKnown) throw damaged('no identity opens it, although one is of a recipient', last);
  throw (
    refusals.find(({ consequence }) => consequence === 'retry') ??
    refusals[0] ??
    missing(names, identities.length, last)
  );
}

interface Candidate {
  readonly keyring: KeyringNode;
  /** By its name it is of a recipient. */
  readonly isNamed: boolean;
  /** Of AWS KMS, if it refused. */
  readonly refusal?: () => Failure | undefined;
}

/** What costs least first: AWS KMS is asked one key after the other, and passphrases cost work. */
async function* listKeyrings(
  identities: readonly Identity[],
  recipients: readonly HeadRecipient[],
): AsyncGenerator<Candidate, void, void> {
  const names = recipients.map(({ name }) => name);
  for (const identity of identities) {
    const keyring = identity.kind === 'rsa' || identity.kind === 'key' ? namedKeyring(identity, names) : undefined;
    if (keyring !== undefined) yield { keyring, isNamed: true };
  }
  for (const identity of identities) if (identity.kind === 'kms') yield* listKmsKeyrings(identity.access, recipients);
  for (const identity of identities) {
    if (identity.kind !== 'passphrase') continue;
    for (const parameters of parseScryptNames(names)) {
      const key = await deriveKey(identity.passphrase, parameters);
      yield { keyring: aesKeyring(nameOfScrypt(parameters), key), isNamed: false };
    }
  }
}

/** For each key of AWS KMS that the message names, of the region that is meant. */
function* listKmsKeyrings(access: KmsAccess, recipients: readonly HeadRecipient[]): Generator<Candidate, void, void> {
  const arns = new Set(recipients.flatMap(({ provider, name }) => (provider === kmsProvider ? [name] : [])));
  for (const arn of arns) {
    const region = regionOfKey(arn);
    if (region === undefined || region !== (access.region ?? region)) continue;
    const { keyring, refusal, close } = openKmsKeyring(arn, region, access);
    try {
      yield { keyring, isNamed: true, refusal };
    } finally {
      close();
    }
  }
}

function namedKeyring(
  identity: Extract<Identity, { readonly kind: 'rsa' | 'key' }>,
  names: readonly string[],
): KeyringNode | undefined {
  if (identity.kind === 'rsa') {
    const { privateKey } = identity;
    const name = nameOfRsa(createPublicKey(privateKey));
    if (!names.includes(name)) return undefined;
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    return new RawRsaKeyringNode({ keyNamespace, keyName: name, rsaKey: { privateKey: pem }, oaepHash: 'sha256' });
  }
  const name = nameOfKey(identity.key);
  return names.includes(name) ? aesKeyring(name, identity.key) : undefined;
}

function missing(names: readonly string[], given: number, cause?: unknown): Failure {
  const what = given === 0 ? 'no identity is given' : `none of the ${given} identities given opens it`;
  return new Failure('IdentityMissing', `${what}; it is for ${names.join(', ')}`, { cause });
}

function damaged(what: string, cause?: unknown): Failure {
  return new Failure('KeyDamaged', `the key of the backup cannot be used: ${what}`, { cause });
}
