import { z } from 'zod';
import { awsRegion, httpEndpoint } from './http-endpoint.ts';
import { caRoles, s3CredentialRoles, secretReference } from './parts.ts';
import { exactlyOne, rule, withRules } from './rules.ts';

export const maxRecipients = 32;
export const maxIdentities = 32;

const kmsAccess = {
  endpoint: httpEndpoint().optional().meta({ description: 'URL of a server that is not AWS but speaks as AWS KMS.' }),
  credentials: secretReference(
    s3CredentialRoles,
    'Access key of AWS. Without it the identity of the pod (runner.serviceAccountName).',
  ).optional(),
  ca: secretReference(caRoles, 'Certificate authorities (PEM) of the endpoint, instead of the public ones.').optional(),
} as const;

const kmsRecipient = withRules(
  z.strictObject({
    keyId: z
      .string()
      .min(1)
      .max(512)
      .regex(
        /^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key\/[A-Za-z0-9-]+|alias\/[A-Za-z0-9/_-]+)|alias\/[A-Za-z0-9/_-]+|[A-Za-z0-9-]+)$/,
      )
      .meta({
        description:
          'Id, ARN, alias (alias/backups) or ARN of an alias of a symmetric key. The ARN of the key is recorded: an alias may move.',
      }),
    region: awsRegion().meta({ description: 'Where the key is.' }),
    ...kmsAccess,
  }),
  rule<{ keyId: string; region: string }>(
    "!self.keyId.startsWith('arn:') || self.keyId.split(':')[3] == self.region",
    ({ keyId, region }) => !keyId.startsWith('arn:') || keyId.split(':')[3] === region,
    'region must be that of the ARN',
  ),
);

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
    kms: kmsRecipient.optional().meta({
      description:
        'A key of AWS KMS: the Job needs kms:Encrypt, who restores kms:Decrypt. KMS is told namespace, policy, name and uid of the Backup, and logs them.',
    }),
  }),
  exactlyOne('publicKey', 'publicKeyFrom', 'key', 'passphrase', 'kms'),
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
    kms: z
      .strictObject({
        region: awsRegion().optional().meta({
          description: 'Only keys of this region are asked for. Without it each key where its ARN says.',
        }),
        ...kmsAccess,
      })
      .optional()
      .meta({ description: 'AWS KMS, with kms:Decrypt for a key that is a recipient. `{}` is AWS, as the pod.' }),
  }),
  exactlyOne('privateKey', 'key', 'passphrase', 'kms'),
);

/** Of a restore: what opens an encrypted backup. */
export const identities = () =>
  z.array(identity).min(1).max(maxIdentities).optional().meta({
    description: 'What opens an encrypted backup: one of them must be of a recipient. Not needed for others.',
  });
