import { z } from 'zod';
import { secretReference } from './parts.ts';
import { exactlyOne, withRules } from './rules.ts';

export const maxRecipients = 32;
export const maxIdentities = 32;

const recipient = withRules(
  z.strictObject({
    publicKey: z.string().min(1).max(4096).optional().meta({
      description: 'An RSA public key in PEM (2 048 to 8 192 bits). The Job cannot open what it writes for it.',
    }),
    publicKeyFrom: secretReference(
      { publicKey: 'public-key.pem' },
      'The same from a Secret of the namespace.',
    ).optional(),
    key: secretReference(
      { key: 'key' },
      'A key of 256 bits, as 64 hexadecimal digits or in base64. Who has it writes and reads.',
    ).optional(),
    passphrase: secretReference(
      { passphrase: 'passphrase' },
      'A passphrase of at least 12 characters. Who has it writes and reads.',
    ).optional(),
  }),
  exactlyOne('publicKey', 'publicKeyFrom', 'key', 'passphrase'),
);

/** Of a policy: what it stores is encrypted by the runner, before it leaves it. */
export const encryption = () =>
  z.strictObject({
    recipients: z.array(recipient).min(1).max(maxRecipients).meta({
      description: 'Who can open the backups: each of them alone. The key of each run is wrapped for all of them.',
    }),
  });

const identity = withRules(
  z.strictObject({
    privateKey: secretReference(
      { privateKey: 'private-key.pem', passphrase: 'passphrase' },
      'An RSA private key in PEM; with its passphrase if it has one.',
    ).optional(),
    key: secretReference({ key: 'key' }, 'A key of 256 bits.').optional(),
    passphrase: secretReference({ passphrase: 'passphrase' }, 'A passphrase.').optional(),
  }),
  exactlyOne('privateKey', 'key', 'passphrase'),
);

/** Of a restore: what opens an encrypted backup. */
export const identities = () =>
  z.array(identity).min(1).max(maxIdentities).optional().meta({
    description: 'What opens an encrypted backup: one of them must be of a recipient. Not needed for others.',
  });
