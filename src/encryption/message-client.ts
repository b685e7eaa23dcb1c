import {
  AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from '@aws-crypto/client-node';
import { keyNamespace } from './recipient.ts';
import { maxRecipients } from './message-head.ts';

/** AES-256-GCM, HKDF with SHA-512, key commitment, no signature: who wrote is not proven by a message, but by a signed manifest. */
export const suiteId = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY;
/** The same as it stands in a head. */
export const suiteName = `0x${suiteId.toString(16)}`;
/** A fifth of the work of the library's 4 KiB. */
export const frameBytes = 1024 * 1024;

export const client = buildClient({
  commitmentPolicy: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
  maxEncryptedDataKeys: maxRecipients,
});

/** @param key 256 bits; copied, and wiped by nobody: JavaScript has no way to */
export function aesKeyring(keyName: string, key: Uint8Array): RawAesKeyringNode {
  return new RawAesKeyringNode({
    keyNamespace,
    keyName,
    // It refuses memory that others share (a Buffer of the pool).
    unencryptedMasterKey: Uint8Array.from(key),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
}
