import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { openSftp } from '../../src/storage/sftp.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { type ProgramOptions, startProgram } from '../servers/program.ts';
import { listTree, makeTemporaryFolder } from '../servers/temporary-folder.ts';
import type { PlaceUnderTest } from '../suites/storage-conformance.ts';
import { foreignPrograms } from './programs.ts';

const run = promisify(execFile);
const tools = { clock: systemClock, random: systemRandom };
const asyncsshServer = fileURLToPath(new URL('../../scripts/foreign/asyncssh-server.py', import.meta.url));

interface Stand {
  readonly folder: string;
  /** What is served. */
  readonly root: string;
  readonly hostKey: string;
  readonly userKey: string;
}

type SftpServer = Omit<ProgramOptions, 'port'> & {
  /** The served folder by the server's own count, where it does not show the file system as it is. */
  readonly path?: string;
};

export const startAsyncssh = (limit: number): Promise<PlaceUnderTest> =>
  startSftp(async ({ hostKey, userKey }) => ({
    command: foreignPrograms.python,
    args: (port) => [asyncsshServer, `${port}`, hostKey, `${userKey}.pub`, `${limit}`],
  }));

export const startProftpd = (): Promise<PlaceUnderTest> =>
  startSftp(async ({ folder, hostKey, userKey }) => {
    const { uid, gid, username } = userInfo();
    const users = join(folder, 'users');
    const keys = join(folder, 'keys');
    const config = join(folder, 'proftpd.conf');
    await writeFile(users, `${username}:*:${uid}:${gid}::${folder}:/bin/sh\n`, { mode: 0o600 });
    await writeFile(keys, (await run('ssh-keygen', ['-e', '-f', `${userKey}.pub`])).stdout, { mode: 0o600 });
    await writeFile(
      config,
      [
        'LoadModule mod_sftp.c',
        'ServerType standalone',
        'ServerName test',
        'UseIPv6 off',
        'UseReverseDNS off',
        'DefaultAddress 127.0.0.1',
        'Port 0',
        'RootLogin on',
        'UseFtpUsers off',
        'RequireValidShell off',
        'AuthOrder mod_auth_file.c',
        `AuthUserFile ${users}`,
        `PidFile ${join(folder, 'pid')}`,
        `ScoreboardFile ${join(folder, 'scores')}`,
        `DelayTable none`,
        `WtmpLog off`,
        'SFTPEngine on',
        `SFTPLog ${join(folder, 'sftp.log')}`,
        `SFTPHostKey ${hostKey}`,
        'SFTPAuthMethods publickey',
        `SFTPAuthorizedUserKeys file:${keys}`,
        'AllowOverwrite on',
        'MaxInstances 100',
        '',
      ].join('\n'),
    );
    return {
      command: '/bin/sh',
      args: (port) => [
        '-c',
        `sed 's/^Port 0/Port ${port}/' ${config} >${config}.${port}; exec ${foreignPrograms.proftpd} -n -q -c ${config}.${port}`,
      ],
    };
  });

/** Its own folder for what it has not written yet, so that nothing of an earlier test is in it. */
export const startRclone = (cache: 'off' | 'writes'): Promise<PlaceUnderTest> =>
  startSftp(async ({ folder, root, hostKey, userKey }) => ({
    command: foreignPrograms.rclone,
    args: (port) => {
      const keys = ['--key', hostKey, '--authorized-keys', `${userKey}.pub`];
      const files = ['--config', join(folder, 'none'), '--cache-dir', join(folder, 'cache')];
      const caching = ['--vfs-cache-mode', cache, '--vfs-write-back', '0s'];
      return ['serve', 'sftp', root, '--addr', `127.0.0.1:${port}`, ...keys, ...files, ...caching];
    },
    path: '/',
  }));

async function startSftp(choose: (stand: Stand) => Promise<SftpServer>): Promise<PlaceUnderTest> {
  const folder = await makeTemporaryFolder();
  const root = join(folder.path, 'root');
  await mkdir(root);
  const [hostKey, userKey, strangersKey] = ['host', 'user', 'stranger'].map((name) => join(folder.path, name));
  if (hostKey === undefined || userKey === undefined || strangersKey === undefined) throw new Error('no keys');
  for (const file of [hostKey, userKey, strangersKey])
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'key', '-f', file]);
  const server = await choose({ folder: folder.path, root, hostKey, userKey });
  const program = await startProgram(server);
  const options = {
    host: '127.0.0.1',
    port: program.port,
    username: userInfo().username,
    privateKey: await readFile(userKey, 'utf8'),
    hostKeys: [(await readFile(`${hostKey}.pub`, 'utf8')).trim()],
    path: server.path ?? root,
  };
  const stranger = await readFile(strangersKey, 'utf8');
  return {
    open: () => openSftp(options, tools),
    openMissing: () => openSftp({ ...options, path: join(options.path, 'absent') }, tools),
    openRefused: () => openSftp({ ...options, privateKey: stranger }, tools),
    lookFromOutside: async () => {
      const all = await listTree(root);
      // A folder is only told when nothing lies in it.
      return all.filter((one) => !one.endsWith('/') || !all.some((other) => other !== one && other.startsWith(one)));
    },
    stop: async () => {
      await program.stop();
      await folder.remove();
    },
  };
}
