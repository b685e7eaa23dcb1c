import { contextOfArtifact, contextOfKey } from '../../domain/encryption-context.ts';
import { backupFolder, sealedKeyKey } from '../../domain/layout.ts';
import type { BackupTask, TaskRecipient } from '../../domain/task.ts';
import { Failure } from '../../api/failure.ts';
import { readKey, readPassphrase, readRsaRecipient, type Recipient } from '../../encryption/recipient.ts';
import { readKmsAccess } from '../read-kms-access.ts';
import type { Workshop } from '../workshop.ts';
import type { Cipher } from './cipher.ts';

/**
 * A key of this run alone, and for whom it is; undefined: what is stored is not encrypted.
 * @throws Failure SecretMissing, SecretInvalid, RecipientInvalid and those of AWS KMS
 */
export async function openCipher(task: BackupTask, workshop: Workshop): Promise<Cipher | undefined> {
  if (task.encryption === undefined) return undefined;
  const { namespace, policy, backup } = task;
  const of = { namespace, policy, backup: { id: backup.name, uid: backup.uid } };
  const recipients: Recipient[] = [];
  for (const [index, recipient] of task.encryption.recipients.entries())
    recipients.push(await readRecipient(recipient, index, workshop));
  // Not before it is needed: the library takes memory.
  const [{ sealKey }, { encryptBytes }] = await Promise.all([
    import('../../encryption/seal-key.ts'),
    import('../../encryption/encrypt-bytes.ts'),
  ]);
  const { random, attempt } = workshop;
  const key = random.bytes(32);
  const sealed = await sealKey(key, recipients, contextOfKey(of), (bytes) => random.bytes(bytes));
  return {
    key: sealedKeyKey(backupFolder(namespace, policy.name, backup.name), attempt),
    sealed: sealed.bytes,
    recipients: sealed.recipients,
    encrypt: (name) => encryptBytes(key, contextOfArtifact(of, name)),
  };
}

async function readRecipient(
  { publicKey, publicKeyFrom, key, passphrase, kms }: TaskRecipient,
  index: number,
  workshop: Workshop,
): Promise<Recipient> {
  const { secrets, signal } = workshop;
  try {
    if (publicKey !== undefined) return readRsaRecipient(publicKey);
    if (publicKeyFrom !== undefined) {
      const found = await secrets.read(publicKeyFrom, { oneOf: [['publicKey']] }, signal);
      return readRsaRecipient(found['publicKey'] ?? '');
    }
    if (key !== undefined) {
      const found = await secrets.read(key, { oneOf: [['key']] }, signal);
      return { kind: 'key', key: readKey(Buffer.from(found['key'] ?? ''), 'RecipientInvalid') };
    }
    if (passphrase !== undefined) {
      const found = await secrets.read(passphrase, { oneOf: [['passphrase']] }, signal);
      return readPassphrase(found['passphrase'] ?? '');
    }
    if (kms !== undefined) {
      const { keyId, region } = kms;
      return { kind: 'kms', keyId, region, access: await readKmsAccess(kms, workshop) };
    }
  } catch (error) {
    if (!(error instanceof Failure) || error.reason !== 'RecipientInvalid') throw error;
    const hint = error.hint === undefined ? {} : { hint: error.hint };
    throw new Failure('RecipientInvalid', `recipient ${index + 1}: ${error.message}`, { ...hint, cause: error });
  }
  throw new Failure('TaskInvalid', `recipient ${index + 1} of the task is of no kind`);
}
