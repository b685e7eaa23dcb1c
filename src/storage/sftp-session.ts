import { Failure } from '../api/failure.ts';
import type { Clock } from '../support/clock.ts';
import { abortFailure, throwIfAborted } from './abortable.ts';
import type { SftpAbilities } from './sftp-abilities.ts';
import type { SftpChannel, Answer } from './sftp-channel.ts';
import { toSftpFailure } from './sftp-errors.ts';
import type { SftpLimits } from './sftp-limits.ts';

/** The socket below the channel. */
export interface Transport {
  /** Holds back what is written. */
  cork(): void;
  /** Lets it go, as one write. */
  uncork(): void;
  /** Ends the connection; never throws. */
  destroy(): void;
}

export const sftpOpen = { read: 0x01, createNew: 0x02 | 0x08 | 0x20 } as const;

interface Asked {
  readonly what: string;
  readonly fail: (failure: Failure) => void;
  readonly isSync: boolean;
  /** How often it was seen unanswered. */
  looks: number;
}

/** How often within the time of silence it is looked whether answers came. */
const looksInSilence = 8;
/**
 * A disk that syncs much is busy, and answers nothing else meanwhile: it may take so many times longer. So may one request while others
 * are answered.
 */
const longPatience = 6;

/**
 * One connection. Every request settles: with the server's answer, when the connection is lost, when the signal aborts, or when the
 * server says nothing at all for `silenceMs` while something is asked of it (a channel on its own forgets requests after a loss). Silence is
 * counted in looks, not by a clock: a pause of this process is none of the server's.
 */
export class SftpSession {
  readonly abilities: SftpAbilities;
  readonly limits: SftpLimits;
  readonly clock: Clock;
  readonly #channel: SftpChannel;
  readonly #transport: Transport;
  readonly #silenceMs: number;
  readonly #pending = new Set<Asked>();
  #lost: Failure | undefined;
  #answers = 0;
  #watching = false;
  readonly #over = new AbortController();

  constructor(
    channel: SftpChannel,
    transport: Transport,
    server: { readonly abilities: SftpAbilities; readonly limits: SftpLimits },
    clock: Clock,
    silenceMs: number,
  ) {
    this.#channel = channel;
    this.#transport = transport;
    this.abilities = server.abilities;
    this.limits = server.limits;
    this.clock = clock;
    this.#silenceMs = silenceMs;
  }

  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /** Fails all that is asked and will be asked of this connection. */
  lose(failure: Failure): void {
    if (this.#lost !== undefined) return;
    this.#lost = failure;
    for (const { fail } of this.#pending) fail(failure);
    this.#pending.clear();
    this.#over.abort();
    this.#transport.destroy();
  }

  /** One request; `what` is for the message of a failure. */
  ask<T>(what: string, send: (channel: SftpChannel, done: Answer<T>) => void, signal?: AbortSignal): Promise<T> {
    return this.#ask(what, send, signal, false);
  }

  /** Makes what was written to a file, or happened in a folder that was opened, outlive the server. */
  sync(path: string, handle: Buffer, signal?: AbortSignal): Promise<void> {
    return this.#ask<void>(`sync ${path}`, (channel, done) => channel.ext_openssh_fsync(handle, done), signal, true);
  }

  #ask<T>(
    what: string,
    send: (channel: SftpChannel, done: Answer<T>) => void,
    signal: AbortSignal | undefined,
    isSync: boolean,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (signal !== undefined) throwIfAborted(signal);
      if (this.#lost !== undefined) throw this.#lost;
      const fail = (failure: Failure): void => settle(() => reject(failure));
      const onAbort = (): void => {
        if (signal !== undefined) fail(abortFailure(signal));
      };
      const settle = (end: () => void): void => {
        this.#pending.delete(asked);
        signal?.removeEventListener('abort', onAbort);
        end();
      };
      const asked: Asked = { what, fail, isSync, looks: 0 };
      this.#pending.add(asked);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#watch();
      // A large request is many packets of three writes each: alone each of them would be a system call.
      this.#transport.cork();
      try {
        send(this.#channel, (error, value) => {
          this.#answers += 1;
          if (error !== null && error !== undefined) fail(this.#lost ?? toSftpFailure(error, what));
          else settle(() => resolve(value));
        });
      } catch (error) {
        fail(toSftpFailure(error, what));
      } finally {
        this.#transport.uncork();
      }
    });
  }

  /** Looks from time to time, while something is asked, whether the server still answers. */
  #watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    this.#watchUntilIdle()
      // The sleep ends with the connection.
      .catch(() => undefined)
      .finally(() => {
        this.#watching = false;
      });
  }

  async #watchUntilIdle(): Promise<void> {
    let seen = this.#answers;
    let quiet = 0;
    while (this.#pending.size > 0) {
      await this.clock.sleep(Math.max(10, this.#silenceMs / looksInSilence), this.#over.signal);
      quiet = seen === this.#answers ? quiet + 1 : 0;
      seen = this.#answers;
      let patience = 1;
      for (const asked of this.#pending) {
        asked.looks += 1;
        if (asked.isSync) patience = longPatience;
      }
      const [oldest] = this.#pending;
      if (oldest === undefined) return;
      const isSilent = quiet > looksInSilence * patience;
      if (isSilent || oldest.looks > looksInSilence * longPatience) this.#giveUp(oldest);
    }
  }

  #giveUp({ what, looks }: Asked): void {
    const seconds = Math.round((looks * this.#silenceMs) / looksInSilence / 1000);
    const message = `the server has not answered for ${seconds} s (asked to ${what})`;
    this.lose(
      new Failure('StorageUnreachable', message, { hint: 'look whether the SFTP server hangs, or the disk behind it' }),
    );
  }
}
