import type { BackupPolicy, RestoreRequest } from '../../api/kinds.ts';
import type { TaskIdentity, TaskKms, TaskRecipient } from '../../domain/task.ts';
import { secretKeys } from './secret-keys.ts';

type Recipient = NonNullable<BackupPolicy['spec']['encryption']>['recipients'][number];
type Identity = NonNullable<RestoreRequest['spec']['source']['identities']>[number];

/** For whom a runner encrypts. */
export function taskRecipient({ publicKey, publicKeyFrom, key, passphrase, kms }: Recipient): TaskRecipient {
  return {
    publicKey,
    publicKeyFrom: publicKeyFrom && secretKeys(publicKeyFrom),
    key: key && secretKeys(key),
    passphrase: passphrase && secretKeys(passphrase),
    ...(kms === undefined ? {} : { kms: { ...taskKms(kms), keyId: kms.keyId, region: kms.region } }),
  };
}

/** With what a runner opens a backup. */
export function taskIdentity({ privateKey, key, passphrase, kms }: Identity): TaskIdentity {
  return {
    privateKey: privateKey && secretKeys(privateKey),
    key: key && secretKeys(key),
    passphrase: passphrase && secretKeys(passphrase),
    ...(kms === undefined ? {} : { kms: taskKms(kms) }),
  };
}

function taskKms({ region, endpoint, credentials, ca }: NonNullable<Identity['kms']>): TaskKms {
  return { region, endpoint, credentials: credentials && secretKeys(credentials), ca: ca && secretKeys(ca) };
}
