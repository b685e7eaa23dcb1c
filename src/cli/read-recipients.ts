import { Failure } from '../api/failure.ts';
import { recogniseRecipient, type Recipient } from '../encryption/recipient.ts';
import type { CommandWorld } from './command-world.ts';
import { kmsOfEnvironment, readKeyFile } from './read-identities.ts';

export interface RecipientOptions {
  readonly recipient: readonly string[];
  /** ARNs of keys or aliases. */
  readonly recipientKms: readonly string[];
  readonly kmsEndpoint: string | undefined;
}

/** For whom is encrypted, as a command line says it. @throws Failure RecipientInvalid, FileMissing, FileRefused */
export async function readRecipients(world: CommandWorld, options: RecipientOptions): Promise<readonly Recipient[]> {
  const recipients: Recipient[] = [];
  for (const path of options.recipient) {
    try {
      recipients.push(recogniseRecipient(await readKeyFile(world, path)));
    } catch (error) {
      if (!(error instanceof Failure) || error.reason !== 'RecipientInvalid') throw error;
      const hint = error.hint === undefined ? {} : { hint: error.hint };
      throw new Failure('RecipientInvalid', `${path}: ${error.message}`, { ...hint, cause: error });
    }
  }
  const access = kmsOfEnvironment(world, options.kmsEndpoint);
  for (const keyId of options.recipientKms) {
    const [, region] = /^arn:aws[a-z-]*:kms:([a-z0-9-]+):\d{12}:(?:key|alias)\/[\w/-]+$/.exec(keyId) ?? [];
    if (region === undefined)
      throw new Failure('RecipientInvalid', `${keyId} is no ARN of a key or alias of AWS KMS`, {
        hint: 'an ARN says in which region it is: arn:aws:kms:eu-central-1:111122223333:alias/backups',
      });
    recipients.push({ kind: 'kms', keyId, region, access });
  }
  if (recipients.length === 0)
    throw new Failure('RecipientInvalid', 'nobody is named who could open it', {
      hint: 'give --recipient public-key.pem (pgbackup keygen makes one) or --recipient-kms',
    });
  return recipients;
}
