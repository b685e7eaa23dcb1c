import { connect } from 'node:net';
import ssh2 from 'ssh2';
import SftpClient from 'ssh2-sftp-client';
import { Failure } from '../api/failure.ts';
import { throwIfAborted } from './abortable.ts';
import {
  acceptsHostKey,
  allHostKeyAlgorithms,
  fingerprintOf,
  type HostKeyPins,
  keyType,
  offeredAlgorithms,
} from './host-keys.ts';
import type { StorageTools } from './place.ts';
import { toConnectFailure } from './sftp-errors.ts';
import { kindOf } from './sftp-list.ts';
import { type SftpAttributes, SftpSession } from './sftp-session.ts';
import type { SftpOptions } from './sftp.ts';

export interface Connected {
  readonly session: SftpSession;
  /** Absolute path of the root on the server. */
  readonly root: string;
}

/** Connects; a server that shows a key of a type that is not pinned is asked again without that type. */
export async function connectPinned(
  options: SftpOptions,
  pins: HostKeyPins,
  tools: StorageTools,
  signal: AbortSignal,
): Promise<Connected> {
  const shown: Buffer[] = [];
  let algorithms = offeredAlgorithms(pins, []);
  for (let naming = false; ;) {
    try {
      return await connectOnce(options, pins, algorithms, tools, (key) => shown.push(key), signal);
    } catch (error) {
      const [first] = shown;
      const noneInCommon = /no matching host key/i.test(error instanceof Error ? error.message : '');
      if (noneInCommon && first === undefined && !naming) {
        // The server has no key of a pinned type. Asked for any, it shows the one to name in the failure.
        naming = true;
        algorithms = allHostKeyAlgorithms;
        continue;
      }
      if (first === undefined) throw error;
      const mismatch = error instanceof Failure && error.reason === 'HostKeyMismatch';
      if (!mismatch && !noneInCommon) throw error;
      algorithms = offeredAlgorithms(pins, shown.map(keyType));
      if (naming || noneInCommon || algorithms.length === 0) throw mismatchOf(options, first);
    }
  }
}

function mismatchOf({ host, port }: SftpOptions, key: Buffer): Failure {
  const message = `${host}:${port ?? 22} shows the ${keyType(key)} key ${fingerprintOf(key)}, which is not among hostKeys`;
  return new Failure('HostKeyMismatch', message, {
    hint: 'find out why it changed; if rightly so, put the new key into hostKeys',
  });
}

async function connectOnce(
  options: SftpOptions,
  pins: HostKeyPins,
  algorithms: readonly string[],
  tools: StorageTools,
  refuse: (key: Buffer) => void,
  signal: AbortSignal,
): Promise<Connected> {
  throwIfAborted(signal);
  const { host, port = 22 } = options;
  const where = `${host}:${port}`;
  // Its own listeners would write to the console.
  const client = new SftpClient('pgbackup', { error: () => undefined, end: () => undefined, close: () => undefined });
  const ssh = (client as unknown as { readonly client: ssh2.Client }).client;
  let session: SftpSession | undefined;
  let refused: Buffer | undefined;
  // From here to the end of the connection no error is without a listener.
  ssh.on('error', (error) => session?.lose(toLoss(where, error)));
  ssh.on('close', () => session?.lose(toLoss(where)));
  ssh.on('end', () => session?.lose(toLoss(where)));
  ssh.on('keyboard-interactive', (_name, _text, _language, prompts, finish) =>
    finish(prompts.map(() => options.password ?? '')),
  );
  // Small packets must not wait for acknowledgements: 2 MB/s instead of 100.
  const socket = connect({ host, port, noDelay: true });
  // Until the client listens itself.
  socket.on('error', () => undefined);
  const onAbort = (): void => void socket.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const channel = await client.connect({
      host,
      port,
      sock: socket,
      username: options.username,
      ...(options.password === undefined ? {} : { password: options.password, tryKeyboard: true }),
      ...(options.privateKey === undefined ? {} : { privateKey: options.privateKey }),
      ...(options.passphrase === undefined ? {} : { passphrase: options.passphrase }),
      readyTimeout: options.connectTimeoutMs ?? 20_000,
      keepaliveInterval: options.keepAliveMs ?? 15_000,
      keepaliveCountMax: 4,
      algorithms: {
        serverHostKey: [...algorithms] as ssh2.ServerHostKeyAlgorithm[],
        cipher: { prepend: ['aes128-gcm@openssh.com'], append: [], remove: [] },
      },
      hostVerifier: (key: Buffer) => {
        if (acceptsHostKey(pins, key)) return true;
        refused = key;
        return false;
      },
    });
    const extensions = Reflect.get(channel, '_extensions') as Readonly<Record<string, string>> | undefined;
    const offers = (name: string): boolean => extensions?.[`${name}@openssh.com`] === '1';
    const writeBytes: unknown = offers('limits') ? Reflect.get(channel, '_maxWriteLen') : undefined;
    session = new SftpSession(
      channel,
      socket,
      {
        rename: offers('posix-rename'),
        hardlink: offers('hardlink'),
        fsync: offers('fsync'),
        writeBytes: typeof writeBytes === 'number' ? writeBytes : undefined,
      },
      tools.clock,
      options.silenceTimeoutMs ?? 300_000,
    );
    const current = session;
    channel.on('error', (error: Error) => current.lose(toLoss(where, error)));
    channel.on('close', () => current.lose(toLoss(where)));
    return { session, root: await findRoot(session, options.path) };
  } catch (error) {
    socket.destroy();
    if (refused === undefined) throw toConnectFailure(error, where);
    refuse(refused);
    throw mismatchOf(options, refused);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function toLoss(where: string, error?: Error): Failure {
  const why = error === undefined ? '' : `: ${error.message}`;
  return new Failure('StorageUnreachable', `the connection to ${where} was lost${why}`, { cause: error });
}

async function findRoot(session: SftpSession, path: string): Promise<string> {
  const missing = new Failure('StorageMissing', `${path} does not exist on the server, or is no folder`);
  const ask = async <T>(send: Parameters<typeof session.ask<T>>[1]): Promise<T> => {
    try {
      return await session.ask<T>(`look at ${path}`, send);
    } catch (error) {
      throw error instanceof Failure && error.reason === 'ObjectMissing' ? missing : error;
    }
  };
  const root = await ask<string>((channel, done) => channel.realpath(path, done));
  const { mode } = await ask<SftpAttributes>((channel, done) => channel.stat(root, done));
  if (kindOf(mode) !== 'folder') throw missing;
  // So that joining and taking apart paths works there too.
  return root === '/' ? '/.' : root;
}

/** Throws `SecretInvalid`. */
export function checkPrivateKey({ privateKey, passphrase }: SftpOptions): void {
  if (privateKey === undefined) return;
  const parsed: unknown = ssh2.utils.parseKey(privateKey, passphrase);
  const [key] = Array.isArray(parsed) ? (parsed as unknown[]) : [parsed];
  const isPrivate = !(key instanceof Error) && (key as ssh2.ParsedKey | undefined)?.isPrivateKey() === true;
  if (!isPrivate)
    throw new Failure('SecretInvalid', 'the private key cannot be read', {
      hint: 'an OpenSSH or PEM private key, with its passphrase if it has one',
      cause: key instanceof Error ? key : undefined,
    });
}
