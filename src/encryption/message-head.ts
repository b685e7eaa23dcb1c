import { NodeAlgorithmSuite } from '@aws-crypto/client-node';
import { deserializeFactory } from '@aws-crypto/serialize';

/** Data keys of one message; who writes is held to as many. */
export const maxRecipients = 32;
/** A head with that many data keys of RSA with 8 192 bits is smaller. */
const maxHeadBytes = 64 * 1024;

/** For whom the key of a message is wrapped, as its head says. */
export interface HeadRecipient {
  /** `pgbackup`, or `aws-kms`. */
  readonly provider: string;
  /** For keys of ours its name (recipient.ts); for AWS KMS the ARN. */
  readonly name: string;
}

export interface MessageHead {
  /** From the first byte to the first frame. */
  readonly bytes: number;
  /** As in `0x478`. */
  readonly suite: string;
  readonly frameBytes: number;
  readonly context: Readonly<Record<string, string>>;
  readonly recipients: readonly HeadRecipient[];
}

/** A message of ours does not begin so. */
export class NoMessage extends Error {}

const { deserializeMessageHeader } = deserializeFactory(
  (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'),
  NodeAlgorithmSuite,
);

/** The version of the format that commits to its key; version 1 does not. */
const messageVersion = 2;
/** Behind the name of a raw AES key its IV and the length of its tag stand in the same field. */
const aesTailBytes = 4 + 4 + 12;

/**
 * What stands before the frames of a message of the AWS Encryption SDK, version 2
 * ([message format](https://docs.aws.amazon.com/encryption-sdk/latest/developer-guide/message-format.html)); no key is needed. Nothing
 * of it is authenticated before a key was found.
 * @returns undefined when more bytes are needed
 * @throws NoMessage
 */
export function readMessageHead(start: Uint8Array): MessageHead | undefined {
  if (start.length === 0) return undefined;
  if (start[0] !== messageVersion) throw new NoMessage('it is no message of the AWS Encryption SDK, version 2');
  let header: ReturnType<typeof deserializeMessageHeader>;
  try {
    header = deserializeMessageHeader(start, { maxEncryptedDataKeys: maxRecipients });
  } catch (error) {
    throw new NoMessage('its head cannot be read', { cause: error });
  }
  if (header === false) {
    if (start.length > maxHeadBytes) throw new NoMessage(`its head is longer than ${maxHeadBytes} bytes`);
    return undefined;
  }
  const { messageHeader, headerLength, headerAuth } = header;
  if (headerLength > maxHeadBytes) throw new NoMessage(`its head is longer than ${maxHeadBytes} bytes`);
  return {
    bytes: headerLength + headerAuth.headerAuthLength,
    suite: `0x${messageHeader.suiteId.toString(16)}`,
    frameBytes: messageHeader.frameLength,
    context: { ...messageHeader.encryptionContext },
    recipients: messageHeader.encryptedDataKeys.map(({ providerId, providerInfo, rawInfo }) => ({
      provider: providerId,
      name: nameOf(providerId, providerInfo, rawInfo),
    })),
  };
}

/** What a stranger's file says is shown to people: a name of ours has no other characters, and is shorter. */
const unlikeOurs = /[^\w:/.=+-]/g;
const nameLength = 200;

function nameOf(provider: string, info: string, raw: Uint8Array | undefined): string {
  const isWhole = provider === 'aws-kms' || raw === undefined || info.startsWith('rsa:');
  const name = isWhole ? info : Buffer.from(raw.subarray(0, Math.max(0, raw.length - aesTailBytes))).toString('utf8');
  return name.replaceAll(unlikeOurs, '?').slice(0, nameLength);
}
