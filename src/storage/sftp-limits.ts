import { Failure } from '../api/failure.ts';

/** How much one request may carry, bytes. */
export interface SftpLimits {
  readonly writeBytes: number;
  readonly readBytes: number;
}

/** What ssh2 keeps of `limits@openssh.com`, or assumes; requests above its own limits it would cut and send one after the other. */
export interface LimitsOfChannel {
  /** Set when the server has answered, with a number or Infinity. */
  readonly maxOpenHandles: number | undefined;
  readonly packetBytes: number;
  readonly readBytes: number;
  readonly writeBytes: number;
}

/** What every server takes: the protocol demands packets of 34 000 bytes of all, and a request and its header fit an SSH packet of 32 KiB. */
const everyServerBytes = 28 * 1024;
/** What OpenSSH takes. Each request is answered, and answers cost more than bytes do. */
const mostWriteBytes = 255 * 1024;
const mostReadBytes = 32 * 1024;
/** Type, id, handle (of at most 256 bytes), offset and length of a write, and what a server may count besides. */
const headerBytes = 300;

/**
 * The smallest of what we want, what the server says, what fits its packets, and what ssh2 sends at once. A server that says nothing is
 * not believed to be what it calls itself: behind an OpenSSH may stand another SFTP server.
 */
export function chooseLimits({ maxOpenHandles, packetBytes, readBytes, writeBytes }: LimitsOfChannel): SftpLimits {
  if (maxOpenHandles === undefined)
    return {
      writeBytes: Math.min(everyServerBytes, writeBytes),
      readBytes: Math.min(mostReadBytes, readBytes),
    };
  const fits = packetBytes - headerBytes;
  if (fits < 1)
    throw new Failure('StorageConfigInvalid', `the SFTP server takes packets of ${packetBytes} bytes at most`, {
      hint: 'raise the packet limit of the SFTP server: the protocol demands 34000 bytes',
    });
  return {
    writeBytes: Math.min(mostWriteBytes, writeBytes, fits),
    readBytes: Math.min(mostReadBytes, readBytes, fits),
  };
}

/** From the private members of ssh2's channel, which has no others for them. */
export function limitsOfChannel(channel: object): LimitsOfChannel {
  const number = (name: string): number | undefined => {
    const value: unknown = Reflect.get(channel, name);
    return typeof value === 'number' && value > 0 ? Math.floor(value) : undefined;
  };
  return {
    maxOpenHandles: number('maxOpenHandles'),
    packetBytes: number('_maxOutPktLen') ?? everyServerBytes,
    readBytes: number('_maxReadLen') ?? everyServerBytes,
    writeBytes: number('_maxWriteLen') ?? everyServerBytes,
  };
}
