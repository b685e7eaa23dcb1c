import type { Duplex } from 'node:stream';
import type { Bytes, Stage } from '../pipeline/bytes.ts';
import { aesKeyring, client, frameBytes, suiteId } from './message-client.ts';
import { throughDuplex } from './through-duplex.ts';

/** Name of a backup's own key in the messages that are under it. */
export const backupKeyName = 'backup';

/**
 * A stage: one message of the AWS Encryption SDK in frames of 1 MiB, under the key of a backup.
 * @param context what the bytes are: authenticated, not secret
 */
export function encryptBytes(key: Uint8Array, context: Readonly<Record<string, string>>): Stage {
  return (source: Bytes) => {
    const stream = client.encryptStream(aesKeyring(backupKeyName, key), {
      suiteId,
      frameLength: frameBytes,
      encryptionContext: { ...context },
    });
    return throughDuplex(source, stream satisfies Duplex);
  };
}
