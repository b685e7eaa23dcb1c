import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { startProgram } from './program.ts';
import { findProgram } from './programs.ts';

const run = promisify(execFile);

export type HostKeyKind = 'ed25519' | 'rsa' | 'ecdsa';

export interface Sshd {
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  /** The user of this process, who may log in with the private key. */
  readonly username: string;
  /** OpenSSH format, no passphrase. */
  readonly privateKey: string;
  /** One line for each host key, as ssh-keyscan prints them. */
  readonly hostKeys: readonly string[];
  stop(): Promise<void>;
}

export interface SshdOptions {
  /**
   * A folder for keys and configuration, owned by the user of this process and writable by nobody else. Keys that are there stay: it is
   * the same server that starts again.
   */
  readonly dir: string;
  /** Default: the one of this machine, else the one that `make setup` unpacked. */
  readonly sshd?: string;
  /** Default `ssh-keygen` on the PATH. */
  readonly keygen?: string;
  /** The SFTP server: default `internal-sftp`, which needs no further program. */
  readonly sftpServer?: string;
  readonly port?: number;
  readonly hostKeyKinds?: readonly HostKeyKind[];
  /** An address of this machine that others reach it at: it listens on all of them then. Default 127.0.0.1. */
  readonly address?: string;
  /** Further lines of sshd_config. */
  readonly config?: readonly string[];
}

/** A real OpenSSH server on 127.0.0.1, or on all addresses, for the user of this process, with keys of its own. */
export async function startSshd(options: SshdOptions): Promise<Sshd> {
  const {
    sshd = findProgram('sshd') ?? '/usr/sbin/sshd',
    keygen = 'ssh-keygen',
    sftpServer = 'internal-sftp',
    address = '127.0.0.1',
  } = options;
  const listen = options.address === undefined ? '127.0.0.1' : '0.0.0.0';
  const dir = resolve(options.dir);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const { uid, username } = userInfo();
  // Where privileges are separated into; only looked for when root starts it.
  if (uid === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  const kinds = options.hostKeyKinds ?? ['ed25519'];
  const hostKeyFiles: string[] = [];
  for (const kind of kinds) {
    const file = join(dir, `host-${kind}`);
    if (!existsSync(file)) await run(keygen, ['-q', '-t', kind, '-N', '', '-C', '', '-f', file]);
    hostKeyFiles.push(file);
  }
  const userKey = join(dir, 'user');
  if (!existsSync(userKey)) await run(keygen, ['-q', '-t', 'ed25519', '-N', '', '-C', 'user', '-f', userKey]);
  await writeFile(join(dir, 'authorized'), await readFile(`${userKey}.pub`), { mode: 0o600 });
  const config = join(dir, 'config');
  await writeFile(
    config,
    [
      'AddressFamily inet',
      ...hostKeyFiles.map((file) => `HostKey ${file}`),
      `AuthorizedKeysFile ${join(dir, 'authorized')}`,
      'PidFile none',
      'StrictModes no',
      'UsePAM no',
      'PermitRootLogin yes',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'MaxStartups 100',
      'MaxSessions 100',
      `Subsystem sftp ${sftpServer}`,
      ...(options.config ?? []),
      '',
    ].join('\n'),
  );
  const program = await startProgram({
    command: sshd,
    args: (port) => ['-D', '-e', '-f', config, '-o', `ListenAddress=${listen}:${port}`],
    ...(options.port === undefined ? {} : { port: options.port }),
  });
  const hostKeys: string[] = [];
  for (const file of hostKeyFiles) {
    const line = (await readFile(`${file}.pub`, 'utf8')).trim();
    hostKeys.push(`[${address}]:${program.port} ${line}`);
  }
  return {
    host: address,
    port: program.port,
    pid: program.pid,
    username,
    privateKey: await readFile(userKey, 'utf8'),
    hostKeys,
    stop: () => program.stop(),
  };
}
