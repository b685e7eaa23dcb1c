import { z } from 'zod';
import { secretReference } from './parts.ts';

const maxVerifyingKeys = 8;

/** Public keys that manifests must be signed by: inline, for whoever can change a Secret could change them. */
const verifyingKeys = () =>
  z
    .array(
      z
        .string()
        .min(1)
        .max(512)
        .regex(/^[ \r\n]*-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/= \r\n]+-----END PUBLIC KEY-----[ \r\n]*$/),
    )
    .min(1)
    .max(maxVerifyingKeys);

/** Of a restore. */
export const signedBy = () =>
  verifyingKeys().optional().meta({
    description:
      'Ed25519 public keys in PEM: only a backup is restored whose manifest is signed by one of them; besides what its location demands.',
  });

/** Of a policy: the runner signs what it says it stored. */
export const signing = () =>
  z.strictObject({
    key: secretReference(
      { signingKey: 'signing-key.pem' },
      'An Ed25519 private key in PEM (PKCS #8), as pgbackup keygen --signing makes it.',
    ),
  });

/** Of a location: who must have signed what counts there as a backup. */
export const signatures = () =>
  z.strictObject({
    mode: z.enum(['Required']).default('Required').meta({
      description:
        'Required: what is not signed by one of the keys is shown as damaged, never restored, and not stored.',
    }),
    publicKeys: verifyingKeys().meta({ description: 'Ed25519 public keys in PEM, old ones too.' }),
  });
