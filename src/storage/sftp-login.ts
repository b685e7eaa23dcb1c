import ssh2 from 'ssh2';
import SftpClient from 'ssh2-sftp-client';
import { Failure } from '../api/failure.ts';
import { fingerprintOf } from './host-keys.ts';
import type { SftpChannel } from './sftp-channel.ts';

/** Ways to log in that we know, the surest first. */
const methods = ['publickey', 'password', 'keyboard-interactive'] as const;
type Method = (typeof methods)[number];

export interface LoginSecrets {
  readonly password?: string;
  readonly privateKey?: string;
  readonly passphrase?: string;
}

/**
 * Which way to try next. A server may want several in a row (`AuthenticationMethods publickey,password`): after each that it took, it
 * names what may follow, and what it refused before may be tried again. Ends: each way succeeds once at most.
 */
export class LoginPlan {
  readonly #able: readonly Method[];
  readonly #taken: Method[] = [];
  #tried: Method[] = [];
  #current: Method | undefined;
  #wanted: readonly string[] = [];
  readonly #secrets: LoginSecrets;

  constructor(secrets: LoginSecrets) {
    this.#secrets = secrets;
    const { password, privateKey } = secrets;
    this.#able = methods.filter((method) => (method === 'publickey' ? privateKey : password) !== undefined);
  }

  /** The shape that ssh2 asks in: what the server would take (null before anything was tried), and whether the last one was a step. */
  next(wanted: readonly string[] | null, isStep: boolean): Method | 'none' | false {
    if (wanted === null) return 'none';
    // ssh2 tries an RSA key with each of its algorithms, also after the first was a step; but then it is asked for no more.
    const last = this.#current;
    const isAskedNoMore = last !== undefined && this.#wanted.includes(last) && !wanted.includes(last);
    if (last !== undefined && (isStep || isAskedNoMore)) {
      this.#taken.push(last);
      this.#tried = [];
    }
    this.#wanted = wanted;
    const left = this.#able.filter((method) => !this.#taken.includes(method) && !this.#tried.includes(method));
    // Some servers do not name what they take.
    const named = left.find((method) => wanted.includes(method));
    this.#current = named ?? (this.#taken.length === 0 ? left[0] : undefined);
    if (this.#current === undefined) return false;
    this.#tried.push(this.#current);
    return this.#current;
  }

  /** When no way is left. */
  explain(where: string, cause: unknown): Failure {
    const wanted = this.#wanted.length === 0 ? 'nothing' : this.#wanted.join(', ');
    const message =
      this.#taken.length === 0
        ? `${where}: login refused; tried ${this.#able.join(', ')}, the server takes ${wanted}`
        : `${where}: the server took ${this.#taken.join(', ')} and did not go on without ${wanted}`;
    return new Failure('StorageCredentialsInvalid', message, { hint: this.#advise(), cause });
  }

  #advise(): string {
    const could = this.#able.filter((method) => this.#wanted.includes(method) && !this.#taken.includes(method));
    const missing = methods.filter((method) => this.#wanted.includes(method) && !this.#able.includes(method));
    if (could.length === 0 && missing.length > 0)
      return `put ${missing.includes('publickey') ? 'privateKey' : 'password'} into the Secret, too`;
    const { privateKey, passphrase } = this.#secrets;
    if (privateKey === undefined || this.#taken.includes('publickey'))
      return 'check user name and password in the Secret';
    const parsed: unknown = ssh2.utils.parseKey(privateKey, passphrase);
    const key = (Array.isArray(parsed) ? parsed[0] : parsed) as ssh2.ParsedKey;
    const shown = `ssh-keygen -lf .ssh/authorized_keys on the server must show ${fingerprintOf(key.getPublicSSH())}`;
    return `check the user name in the Secret; ${shown}`;
  }
}

/** What is used of ssh2-sftp-client: the client of ssh2 that it wraps is no public member. */
export interface SftpLogin {
  readonly client: ssh2.Client;
  connect(config: ssh2.ConnectConfig): Promise<SftpChannel>;
}

/** A client that has not connected yet. Its own listeners would write to the console. */
export function makeLogin(): SftpLogin {
  const silent = { error: () => undefined, end: () => undefined, close: () => undefined };
  return new SftpClient('pgbackup', silent) as unknown as SftpLogin;
}

/** Protocols that carry files know no smaller packets, and each costs work of ours: eight thousand of them are 8 MiB. */
const leastPacketBytes = 1024;

/**
 * Logs in and starts SFTP; `onStep` is called between the two. Rejects with StorageConfigInvalid when the server takes packets of next to
 * nothing.
 */
export function startSftp(login: SftpLogin, config: ssh2.ConnectConfig, onStep: () => void): Promise<SftpChannel> {
  return new Promise((resolve, reject) => {
    login.client.once('ready', () => {
      onStep();
      guardPackets(login.client, reject);
    });
    login.connect(config).then(resolve, reject);
  });
}

interface ChannelOpened {
  readonly packetSize: number;
}
type OnChannelOpened = (protocol: unknown, opened: ChannelOpened) => void;

/**
 * How much a packet to a channel may hold is a number that the server tells when it opens it. ssh2 cuts by it what it sends: by 0 it cuts
 * for ever, in one step that no timer interrupts, so that one number of a stranger would stop the whole process. Looked at before ssh2
 * does, which has no public place for that.
 */
function guardPackets(client: ssh2.Client, refuse: (failure: Failure) => void): void {
  const protocol: unknown = Reflect.get(client, '_protocol');
  const handlers: unknown = typeof protocol === 'object' && protocol !== null && Reflect.get(protocol, '_handlers');
  const name = 'CHANNEL_OPEN_CONFIRMATION';
  const open: unknown = typeof handlers === 'object' && handlers !== null && Reflect.get(handlers, name);
  if (typeof handlers !== 'object' || handlers === null || typeof open !== 'function')
    return refuse(new Failure('Internal', `ssh2 has no ${name} any more`));
  const guarded: OnChannelOpened = (self, opened) => {
    if (opened.packetSize >= leastPacketBytes) return (open as OnChannelOpened)(self, opened);
    const told = `the SSH server takes packets of ${opened.packetSize} bytes at most`;
    refuse(
      new Failure('StorageConfigInvalid', told, {
        hint: `raise the maximum packet size of the SSH server: usual are 32768 bytes, ${leastPacketBytes} are needed`,
      }),
    );
  };
  Reflect.set(handlers, name, guarded);
}
