import { spawn, type StdioOptions } from 'node:child_process';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { compileCache } from '../compile-cache.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
let files: string;

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  files = join(folder.path, 'files');
  await mkdir(join(folder.path, 'place'));
  await mkdir(files);
  const objects = [
    { kind: 'BackupLocation', metadata: { name: 'here' }, spec: { directory: { path: join(folder.path, 'place') } } },
    {
      kind: 'BackupPolicy',
      metadata: { name: 'doomed' },
      spec: {
        source: { postgres: { credentials: { secretName: 'pg' }, databases: { all: true } } },
        destinations: [{ location: 'here' }],
        runner: { retries: 0, waitForServerSeconds: 0 },
      },
    },
  ].map((object) => ({ apiVersion: 'pgbackup.dev/v1beta1', ...object }));
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'pg' },
    // Nothing listens there.
    stringData: { uri: 'postgresql://u:password@127.0.0.1:1/x' },
  };
  await writeFile(
    join(files, 'objects.yaml'),
    [...objects, secret].map((object) => JSON.stringify(object)).join('\n---\n'),
  );
});
afterAll(() => folder.remove());

/** Runs the program; what it prints to a `pipe` is read by nobody. */
async function run(args: readonly string[], stdio: StdioOptions): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, [main, ...args], {
    stdio,
    env: { ...compileCache, PATH: '/usr/bin:/bin', HOME: folder.path },
  });
  child.stdout?.destroy();
  let stderr = '';
  child.stderr?.on('data', (piece: Buffer) => (stderr += piece.toString()));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, stderr };
}

const once = () => ['local', files, '--once', '--state-dir', join(folder.path, 'state')];
const list = () => ['local', 'restore', files, '--list'];

describe('A run that fails keeps its exit code', () => {
  test('when nobody reads what it prints', async () => {
    expect(await run(once(), ['ignore', 'pipe', 'pipe'])).toMatchObject({ code: 1 });
  });

  test('when neither its output nor its errors can be written any more', async () => {
    const full = await open('/dev/full', 'w');
    expect(await run(once(), ['ignore', full.fd, full.fd])).toMatchObject({ code: 1 });
    await full.close();
  });

  test('when it has no output, no errors and no input at all', async () => {
    const child = spawn('/bin/sh', ['-c', 'exec "$0" "$@" <&- >&- 2>&-', process.execPath, main, ...once()], {
      env: { ...compileCache, PATH: '/usr/bin:/bin', HOME: folder.path },
      stdio: 'ignore',
    });
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(1);
  });

  test('also as a runner whose log nobody reads', async () => {
    expect(await run(['runner'], ['ignore', 'pipe', 'pipe'])).toMatchObject({ code: 64 });
  });
});

describe('A listing', () => {
  test('that nobody reads to its end is no failure', async () => {
    expect(await run(list(), ['ignore', 'pipe', 'pipe'])).toEqual({ code: 0, stderr: '' });
  });

  test('that cannot be written fails, and says why', async () => {
    const full = await open('/dev/full', 'w');
    const { code, stderr } = await run(list(), ['ignore', full.fd, 'pipe']);
    await full.close();
    expect(code).toBe(74);
    expect(stderr).toContain('the output cannot be written: ENOSPC');
  });
});
