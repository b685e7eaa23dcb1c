import { connect } from 'node:net';
import type ssh2 from 'ssh2';
import { Failure } from '../api/failure.ts';
import { throwIfAborted, untilAborted, withinTime } from './abortable.ts';
import {
  acceptsHostKey,
  allHostKeyAlgorithms,
  fingerprintOf,
  type HostKeyPins,
  keyType,
  offeredAlgorithms,
} from './host-keys.ts';
import type { StorageTools } from './place.ts';
import { offeredBy, type SftpAbility, SftpAbilities } from './sftp-abilities.ts';
import { sftpStatus, sftpStatusOf, toConnectFailure } from './sftp-errors.ts';
import { chooseLimits, limitsOfChannel } from './sftp-limits.ts';
import { LoginPlan, makeLogin, startSftp } from './sftp-login.ts';
import { isFolder, kindOfMode } from './sftp-look.ts';
import { SftpSession } from './sftp-session.ts';
import type { SftpAttributes } from './sftp-channel.ts';
import type { SftpOptions } from './sftp-options.ts';

export interface Connected {
  readonly session: SftpSession;
  /** Absolute path of the root on the server. */
  readonly root: string;
}

/** Connects; a server that shows a key of a type that is not pinned is asked again without that type. */
export async function connectPinned(
  options: SftpOptions,
  pins: HostKeyPins,
  refusedAbilities: Set<SftpAbility>,
  tools: StorageTools,
  signal: AbortSignal,
): Promise<Connected> {
  const shown: Buffer[] = [];
  let algorithms = offeredAlgorithms(pins, []);
  for (let naming = false; ;) {
    try {
      const refuse = (key: Buffer): void => void shown.push(key);
      return await connectInTime({ options, pins, algorithms, refuse, refusedAbilities, tools }, signal);
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

interface Attempt {
  readonly options: SftpOptions;
  readonly pins: HostKeyPins;
  readonly algorithms: readonly string[];
  /** Takes a key that is not pinned. */
  readonly refuse: (key: Buffer) => void;
  readonly refusedAbilities: Set<SftpAbility>;
  readonly tools: StorageTools;
}

/** All of it, to the folder being found, ends within the connect timeout: a server can fall silent at each step. */
async function connectInTime(attempt: Attempt, signal: AbortSignal): Promise<Connected> {
  const { host, port = 22, connectTimeoutMs = 20_000 } = attempt.options;
  let step = 'connecting and logging in';
  return await withinTime(attempt.tools.clock, connectTimeoutMs, async (deadline) => {
    try {
      const onStep = (next: string): void => {
        step = next;
      };
      return await connectOnce(attempt, onStep, AbortSignal.any([signal, deadline]));
    } catch (error) {
      if (!deadline.aborted || signal.aborted) throw error;
      const message = `${host}:${port}: ${step} took more than ${connectTimeoutMs / 1000} s`;
      throw new Failure('StorageUnreachable', message, {
        hint: 'check host, port and network policies, and that the SFTP server answers: sftp -v connects as we do',
        cause: error,
      });
    }
  });
}

async function connectOnce(
  { options, pins, algorithms, refuse, refusedAbilities, tools }: Attempt,
  onStep: (step: string) => void,
  signal: AbortSignal,
): Promise<Connected> {
  throwIfAborted(signal);
  const { host, port = 22 } = options;
  const where = `${host}:${port}`;
  const login = makeLogin();
  const { client } = login;
  let session: SftpSession | undefined;
  let refused: Buffer | undefined;
  // From here to the end of the connection no error is without a listener.
  client.on('error', (error) => session?.lose(toLoss(where, error)));
  client.on('close', () => session?.lose(toLoss(where)));
  client.on('end', () => session?.lose(toLoss(where)));
  client.on('keyboard-interactive', (_name, _text, _language, prompts, finish) =>
    finish(prompts.map(() => options.password ?? '')),
  );
  // Small packets must not wait for acknowledgements: 2 MB/s instead of 100.
  const socket = connect({ host, port, noDelay: true });
  // Until the client listens itself.
  socket.on('error', () => undefined);
  const onAbort = (): void => void socket.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  const plan = new LoginPlan(options);
  try {
    const starting = startSftp(login, clientConfig(), () => onStep('starting the SFTP subsystem'));
    const channel = await untilAborted(starting, signal);
    const extensions = (Reflect.get(channel, '_extensions') ?? {}) as Readonly<Record<string, string>>;
    const current = new SftpSession(
      channel,
      socket,
      {
        abilities: new SftpAbilities(offeredBy(extensions), refusedAbilities),
        limits: chooseLimits(limitsOfChannel(channel)),
      },
      tools.clock,
      options.silenceTimeoutMs ?? 300_000,
    );
    session = current;
    channel.on('error', (error: Error) => current.lose(toLoss(where, error)));
    channel.on('close', () => current.lose(toLoss(where)));
    onStep(`looking at ${options.path}`);
    return { session, root: await findRoot(session, options.path, signal) };
  } catch (error) {
    socket.destroy();
    if (refused !== undefined) {
      refuse(refused);
      throw mismatchOf(options, refused);
    }
    throw toConnectFailure(error, where, plan);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }

  function clientConfig(): ssh2.ConnectConfig {
    return {
      sock: socket,
      username: options.username,
      ...(options.password === undefined ? {} : { password: options.password, tryKeyboard: true }),
      ...(options.privateKey === undefined ? {} : { privateKey: options.privateKey }),
      ...(options.passphrase === undefined ? {} : { passphrase: options.passphrase }),
      authHandler: (wanted: readonly string[] | null, isStep: boolean | null) => plan.next(wanted, isStep === true),
      // The time for all of it is ours.
      readyTimeout: 0,
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
    };
  }
}

function toLoss(where: string, error?: Error): Failure {
  const why = error === undefined ? '' : `: ${error.message}`;
  return new Failure('StorageUnreachable', `the connection to ${where} was lost${why}`, { cause: error });
}

async function findRoot(session: SftpSession, path: string, signal: AbortSignal): Promise<string> {
  const missing = new Failure('StorageMissing', `${path} does not exist on the server, or is no folder`, {
    hint: 'create it on the SFTP server, or correct sftp.path: it begins at the login folder unless it starts with a slash',
  });
  const ask = async <T>(send: Parameters<typeof session.ask<T>>[1]): Promise<T> => {
    try {
      return await session.ask<T>(`look at ${path}`, send, signal);
    } catch (error) {
      throw error instanceof Failure && error.reason === 'ObjectMissing' ? missing : error;
    }
  };
  const root = await ask<string>((channel, done) => channel.realpath(path, done)).catch((error: unknown) => {
    // Some know no such request; then the path is taken as it is written.
    if (sftpStatusOf(error) !== sftpStatus.unsupported) throw error;
    return path;
  });
  const { mode } = await ask<SftpAttributes>((channel, done) => channel.stat(root, done));
  // The root itself may be a link: it has been followed.
  const kind = kindOfMode(mode) ?? ((await isFolder(session, root, signal)) ? 'folder' : 'other');
  if (kind !== 'folder') throw missing;
  // So that joining and taking apart paths works there too.
  return root === '/' ? '/.' : root;
}
