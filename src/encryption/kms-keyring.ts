import { KMS, KmsKeyringNode, type KeyringNode } from '@aws-crypto/client-node';
import { Failure } from '../api/failure.ts';
import type { KmsAccess } from './kms-access.ts';
import { toKmsFailure } from './kms-errors.ts';

type EncryptRequest = Parameters<KMS['encrypt']>[0];
type DecryptRequest = Parameters<KMS['decrypt']>[0];

/** One key of AWS KMS as the library asks it. */
export interface KmsKeyring {
  readonly keyring: KeyringNode;
  /** What KMS refused the last request with; the library tells it as a text among others. */
  readonly refusal: () => Failure | undefined;
  readonly close: () => void;
}

const connectMs = 5_000;
const silentMs = 15_000;
/** In all; between them the SDK pauses. */
const attempts = 3;

/** @param keyId id, ARN or alias; to decrypt: the ARN of a key, and no other key is asked for */
export function openKmsKeyring(keyId: string, region: string, access: KmsAccess): KmsKeyring {
  const { endpoint, credentials, agents, limit } = access;
  let refused: Failure | undefined;
  const kms = new KMS({
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    // A copy: the SDK writes into it.
    ...(credentials === undefined ? {} : { credentials: { ...credentials } }),
    maxAttempts: attempts,
    requestHandler: { connectionTimeout: connectMs, socketTimeout: silentMs, ...agents },
  });
  const what = `the key ${keyId} of AWS KMS in ${region}`;
  const ask = async <T>(request: (options: { readonly abortSignal: AbortSignal }) => Promise<T>): Promise<T> => {
    try {
      return await limit(async (abortSignal) => request({ abortSignal }));
    } catch (error) {
      refused = toKmsFailure(error, what);
      throw refused;
    }
  };
  const whole = <T>(value: T | undefined): T => {
    if (value !== undefined) return value;
    refused = new Failure('KmsConfigInvalid', `${what}: what answers leaves out what AWS KMS tells`, {
      hint: 'correct kms.endpoint',
    });
    throw refused;
  };
  const client = {
    encrypt: async (args: EncryptRequest) => {
      const { KeyId, CiphertextBlob } = await ask(async (options) => kms.encrypt(args, options));
      return { KeyId: whole(KeyId), CiphertextBlob: whole(CiphertextBlob) };
    },
    decrypt: async (args: DecryptRequest) => {
      const { KeyId, Plaintext } = await ask(async (options) => kms.decrypt(args, options));
      return { KeyId: whole(KeyId), Plaintext: whole(Plaintext) };
    },
    // Keys of messages are made by us.
    generateDataKey: async (): Promise<never> => Promise.reject(new Failure('Internal', 'KMS makes no keys for us')),
  };
  return {
    keyring: new KmsKeyringNode({ clientProvider: () => client, keyIds: [keyId] }),
    refusal: () => refused,
    close: () => kms.destroy(),
  };
}
