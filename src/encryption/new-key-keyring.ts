import {
  KeyringNode,
  KeyringTraceFlag,
  type NodeEncryptionMaterial,
  type NodeDecryptionMaterial,
} from '@aws-crypto/client-node';
import { keyNamespace } from './recipient.ts';

/**
 * Makes the key of a message and wraps it for nobody, so that all recipients do the same: AWS KMS then is asked for nothing but to encrypt,
 * whatever stands beside it.
 */
export class NewKeyKeyring extends KeyringNode {
  readonly #random: (bytes: number) => Uint8Array;

  constructor(random: (bytes: number) => Uint8Array) {
    super();
    this.#random = random;
  }

  async _onEncrypt(material: NodeEncryptionMaterial): Promise<NodeEncryptionMaterial> {
    const key = Uint8Array.from(this.#random(material.suite.keyLengthBytes));
    return material.setUnencryptedDataKey(key, {
      keyNamespace,
      keyName: 'message',
      flags: KeyringTraceFlag.WRAPPING_KEY_GENERATED_DATA_KEY,
    });
  }

  async _onDecrypt(material: NodeDecryptionMaterial): Promise<NodeDecryptionMaterial> {
    return material;
  }
}
