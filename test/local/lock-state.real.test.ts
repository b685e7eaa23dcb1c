import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compileCache } from '../compile-cache.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { until } from './executor-world.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
/** Processes, network and /proc of its own, as a container has them; they end with it. */
const container = ['--pid', '--net', '--fork', '--mount-proc', '--kill-child'];
const isPossible = spawnSync('unshare', [...container, 'true']).status === 0;
const missing = isPossible ? undefined : 'namespaces cannot be made here';

const objects = (disk: string): string => `apiVersion: v1
kind: Secret
metadata: { name: db }
stringData: { username: nobody, password: nothing }
---
apiVersion: pgbackup.dev/v1beta1
kind: BackupLocation
metadata: { name: disk }
spec: { directory: { path: ${JSON.stringify(disk)} } }
---
apiVersion: pgbackup.dev/v1beta1
kind: BackupPolicy
metadata: { name: yearly }
spec:
  source: { postgres: { host: 127.0.0.1, credentials: { secretName: db }, databases: { all: true } } }
  schedule: "0 0 1 1 *"
  destinations: [{ location: disk }]
`;

describe.skipIf(missing !== undefined)(`pgbackup local in containers that share a folder (${missing ?? 'all'})`, () => {
  let folder: { readonly path: string; remove(): Promise<void> };
  const started: ChildProcess[] = [];

  interface Started {
    readonly child: ChildProcess;
    stderr(): string;
    readonly exit: Promise<number | null>;
    /** The process itself, seen from outside. */
    pid(): number;
  }
  const start = (): Started => {
    const args = [
      process.execPath,
      main,
      'local',
      join(folder.path, 'all.yaml'),
      '--state-dir',
      join(folder.path, 'state'),
    ];
    const child = spawn('unshare', [...container, ...args], {
      env: { ...compileCache, PATH: '/usr/bin:/bin', HOME: folder.path },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    started.push(child);
    let stderr = '';
    child.stderr.on('data', (piece: Buffer) => (stderr += piece.toString()));
    const pid = child.pid ?? 0;
    return {
      child,
      stderr: () => stderr,
      exit: once(child, 'exit').then(([code]) => code as number | null),
      pid: () => Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()),
    };
  };
  const works = async (one: Started): Promise<void> => {
    await until('it works', async () => {
      if (one.child.exitCode !== null) throw new Error(one.stderr());
      return one.stderr().includes('keeping 1 ');
    });
  };
  const isAlive = ({ child }: Started): boolean => child.exitCode === null && child.signalCode === null;

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    await mkdir(join(folder.path, 'disk'));
    await writeFile(join(folder.path, 'all.yaml'), objects(join(folder.path, 'disk')));
  });
  afterAll(async () => {
    for (const child of started) child.kill('SIGKILL');
    await folder?.remove();
  });

  it('lets one work, and takes the folder from one that is frozen or dead, which then stops by itself', async () => {
    const first = start();
    await works(first);
    const second = start();
    expect(await second.exit).not.toBe(0);
    expect(second.stderr()).toContain('another pgbackup local works in');
    expect(second.stderr()).toContain('--state-dir');
    expect(isAlive(first)).toBe(true);

    process.kill(first.pid(), 'SIGSTOP');
    const third = start();
    // Said at once: the wait is far longer than this.
    const toldMs = performance.now();
    await until('it says that it waits', async () => third.stderr().includes('did not say that it ended'));
    await works(third);
    expect(performance.now() - toldMs).toBeGreaterThan(10_000);
    expect(third.stderr()).toMatch(/\(on \S+\) did not say that it ended; waiting up to 19 s/);
    process.kill(first.pid(), 'SIGCONT');
    expect(await first.exit).not.toBe(0);
    expect(first.stderr()).toContain('another one has taken it over');
    expect(isAlive(third)).toBe(true);

    process.kill(third.pid(), 'SIGKILL');
    await third.exit;
    const fourth = start();
    await works(fourth);
    process.kill(fourth.pid(), 'SIGTERM');
    expect(await fourth.exit, fourth.stderr()).toBe(0);

    // Who has said goodbye is waited for by nobody.
    const fifth = start();
    await works(fifth);
    expect(fifth.stderr()).not.toContain('did not say');
    process.kill(fifth.pid(), 'SIGTERM');
    expect(await fifth.exit, fifth.stderr()).toBe(0);
  });
});
