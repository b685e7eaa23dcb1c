import { execFile, spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const script = join(import.meta.dirname, 'hanging-mount.py');
const python = '/usr/bin/python3';

/** Operations of a file system, as FUSE has them. */
export type MountOperation =
  | 'getattr'
  | 'readdir'
  | 'mkdir'
  | 'create'
  | 'open'
  | 'write'
  | 'read'
  | 'fsync'
  | 'link'
  | 'unlink'
  | 'rename'
  | 'rmdir'
  | 'flush'
  | 'release';

export interface HangingMount {
  /** Where it is mounted. */
  readonly path: string;
  /** What it shows, past the mount. */
  readonly root: string;
  /** From now on calls of this operation hang; `undefined` lets them all go on. */
  hang(operation: MountOperation | undefined): Promise<void>;
  /** Whether a call has come that hung. */
  met(): Promise<boolean>;
  /** Nothing is answered any more, and what is asked from now on is not even taken (SIGSTOP); or it goes on. */
  freeze(frozen: boolean): void;
  stop(): Promise<void>;
}

/** Why there can be none here; undefined where there can. */
export async function lacksMounts(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'a file system can only be mounted as root';
  try {
    await access('/dev/fuse', constants.R_OK | constants.W_OK);
    await run(python, ['-c', 'import fusepy']);
    return undefined;
  } catch {
    return 'there is no /dev/fuse, or no fusepy (Debian: python3-fusepy)';
  }
}

/** A file system (FUSE) over a new folder below `dir`, whose calls can be made to hang as in the kernel: not even SIGKILL ends who made them. */
export async function startHangingMount(dir: string): Promise<HangingMount> {
  const [root, path, rule] = [join(dir, 'shown'), join(dir, 'mount'), join(dir, 'rule')];
  await mkdir(root, { recursive: true });
  await mkdir(path);
  await writeFile(rule, '');
  const server = spawn(python, [script, root, path, rule], { stdio: ['ignore', 'ignore', 'inherit'] });
  const gone = new Promise<void>((resolve) => server.once('exit', () => resolve()));
  while (!(await readFile('/proc/self/mounts', 'utf8')).includes(` ${path} fuse`)) {
    if (server.exitCode !== null) throw new Error(`the file system did not start: exit code ${server.exitCode}`);
    await delay(20);
  }
  return {
    path,
    root,
    hang: (operation) => writeFile(rule, operation ?? ''),
    met: () =>
      access(`${rule}.met`).then(
        () => true,
        () => false,
      ),
    freeze: (frozen) => void server.kill(frozen ? 'SIGSTOP' : 'SIGCONT'),
    stop: async () => {
      // The end of its server lets go of whoever hangs.
      server.kill('SIGKILL');
      await gone;
      await run('umount', ['--lazy', path]).catch(() => undefined);
    },
  };
}
