import { Failure } from '../api/failure.ts';
import type { Clock } from '../support/clock.ts';
import { abortFailure, throwIfAborted } from './abortable.ts';
import { toSftpFailure } from './sftp-errors.ts';

/** What the driver uses of an SFTP channel; ssh2's wrapper has this shape. */
export interface SftpChannel {
  open(path: string, flags: number, attributes: { mode: number }, done: Answer<Buffer>): void;
  close(handle: Buffer, done: Answer<void>): void;
  read(handle: Buffer, into: Buffer, offset: number, length: number, position: number, done: Answer<number>): void;
  write(handle: Buffer, from: Buffer, offset: number, length: number, position: number, done: Answer<void>): void;
  fstat(handle: Buffer, done: Answer<SftpAttributes>): void;
  stat(path: string, done: Answer<SftpAttributes>): void;
  lstat(path: string, done: Answer<SftpAttributes>): void;
  readdir(path: string, done: Answer<readonly SftpEntry[]>): void;
  mkdir(path: string, attributes: { mode: number }, done: Answer<void>): void;
  rmdir(path: string, done: Answer<void>): void;
  unlink(path: string, done: Answer<void>): void;
  rename(from: string, to: string, done: Answer<void>): void;
  realpath(path: string, done: Answer<string>): void;
  ext_openssh_rename(from: string, to: string, done: Answer<void>): void;
  ext_openssh_hardlink(from: string, to: string, done: Answer<void>): void;
  ext_openssh_fsync(handle: Buffer, done: Answer<void>): void;
}

export type Answer<T> = (error: Error | null | undefined, value: T) => void;

export interface SftpAttributes {
  readonly size: number;
  readonly mode: number | undefined;
  /** Seconds. */
  readonly mtime: number;
}

export interface SftpEntry {
  readonly filename: string;
  readonly longname: string;
  readonly attrs: SftpAttributes;
}

export interface SftpExtensions {
  readonly rename: boolean;
  readonly hardlink: boolean;
  readonly fsync: boolean;
  /** The largest write that the server says it takes, bytes; undefined when it says nothing. */
  readonly writeBytes: number | undefined;
}

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

/**
 * One connection. Every request settles: with the server's answer, when the connection is lost, when the signal aborts, or when the
 * server says nothing at all for `silenceMs` while something is asked of it (a channel on its own forgets requests after a loss).
 */
export class SftpSession {
  readonly extensions: SftpExtensions;
  readonly #channel: SftpChannel;
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #silenceMs: number;
  readonly #pending = new Set<(failure: Failure) => void>();
  #lost: Failure | undefined;
  #lastAnswerMs = 0;
  #watching = false;
  readonly #over = new AbortController();

  constructor(channel: SftpChannel, transport: Transport, extensions: SftpExtensions, clock: Clock, silenceMs: number) {
    this.#channel = channel;
    this.#transport = transport;
    this.extensions = extensions;
    this.#clock = clock;
    this.#silenceMs = silenceMs;
  }

  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /** Fails all that is asked and will be asked of this connection. */
  lose(failure: Failure): void {
    if (this.#lost !== undefined) return;
    this.#lost = failure;
    for (const reject of this.#pending) reject(failure);
    this.#pending.clear();
    this.#over.abort();
    this.#transport.destroy();
  }

  /** One request; `what` is for the message of a failure. */
  ask<T>(what: string, send: (channel: SftpChannel, done: Answer<T>) => void, signal?: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (signal !== undefined) throwIfAborted(signal);
      if (this.#lost !== undefined) throw this.#lost;
      const fail = (failure: Failure): void => settle(() => reject(failure));
      const onAbort = (): void => {
        if (signal !== undefined) fail(abortFailure(signal));
      };
      const settle = (end: () => void): void => {
        this.#pending.delete(fail);
        signal?.removeEventListener('abort', onAbort);
        end();
      };
      this.#pending.add(fail);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#watch();
      // A large request is many packets of three writes each: alone each of them would be a system call.
      this.#transport.cork();
      try {
        send(this.#channel, (error, value) => {
          this.#lastAnswerMs = this.#clock.monotonicMs();
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
    this.#lastAnswerMs = this.#clock.monotonicMs();
    this.#watchUntilIdle()
      // The sleep ends with the connection.
      .catch(() => undefined)
      .finally(() => {
        this.#watching = false;
      });
  }

  async #watchUntilIdle(): Promise<void> {
    while (this.#pending.size > 0) {
      await this.#clock.sleep(Math.max(10, this.#silenceMs / 8), this.#over.signal);
      const silent = this.#clock.monotonicMs() - this.#lastAnswerMs;
      if (this.#pending.size > 0 && silent > this.#silenceMs)
        this.lose(new Failure('StorageUnreachable', `the server has not answered for ${Math.round(silent / 1000)} s`));
    }
  }
}
