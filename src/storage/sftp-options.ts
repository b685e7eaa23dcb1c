import type { SftpPlace } from './place.ts';

export interface SftpOptions extends SftpPlace {
  readonly username: string;
  readonly password?: string;
  readonly privateKey?: string;
  readonly passphrase?: string;
  /** From the first packet to the folder being found; default 20 s. */
  readonly connectTimeoutMs?: number;
  /** How long a server that was asked something may say nothing; default five minutes; syncing may take longer. */
  readonly silenceTimeoutMs?: number;
  /** How often an SSH keep-alive is sent; four unanswered ones end the connection. Default 15 s. */
  readonly keepAliveMs?: number;
}
