import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { manifestKey } from '../../src/domain/layout.ts';
import { parseVerdict } from '../../src/domain/report.ts';
import type { BackupTask, RestoreTask } from '../../src/domain/task.ts';
import { lacksMounts, startHangingMount, type HangingMount, type MountOperation } from '../servers/hanging-mount.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { startRunner, type RunnerProcess } from './runner-process.ts';
import { restoreTaskOf } from './restore-task-of.ts';
import { backupTaskOf, directoryLocation, layRoot, pgSecret, podUids, runWith } from './run-with.ts';
import { startStand, type Stand } from './stand.ts';

// A folder on a file system that hangs in the kernel, where neither an abort nor SIGKILL is heard.
const lack = await lacksMounts();
const binDir = (await listBinDirs(process.env['POSTGRES_BINDIRS'])).at(-1) ?? '';
const manifest = manifestKey('shop', 'nightly', 'nightly-20260101t030000z');
const stallMilliseconds = 4_000;

let stand: Stand;
let server: Postgres;
let mount: HangingMount;
beforeAll(async () => {
  stand = await startStand();
  server = await startPostgres({ binDir, dir: join(stand.folder, 'pg') });
  await server.sql('CREATE DATABASE shop');
  // Some 8 MB: a volume of several writes.
  await server.sql('CREATE TABLE t AS SELECT i, md5(i::text) AS m FROM generate_series(1, 200000) i', 'shop');
});
afterAll(async () => {
  await server?.stop();
  await stand?.stop();
});
beforeEach(async ({ skip }) => {
  skip(lack !== undefined, lack);
  mount = await startHangingMount(await mkdtemp(join(stand.folder, 'hanging-')));
});
afterEach(() => mount?.stop());

async function arrange(required: boolean) {
  const { s3: good } = await stand.fresh();
  const bad = directoryLocation('mount', mount.path);
  const task: BackupTask = backupTaskOf(server, {
    databases: { names: ['shop'] },
    compression: { algorithm: 'none' },
    destinations: [
      { location: good, required: true },
      { location: bad, required },
    ],
  });
  return { good, task, secrets: { ...stand.secrets, ...pgSecret(server) } };
}

const operations: readonly MountOperation[] = [
  'getattr',
  'mkdir',
  'create',
  'write',
  'fsync',
  'link',
  'read',
  'readdir',
  'flush',
];

describe.each([
  ...operations.map((operation) => [operation, 'best-effort', false, 'Succeeded'] as const),
  ...(['getattr', 'write', 'link'] as const).map((operation) => [operation, 'required', true, 'PartlyFailed'] as const),
])('A folder whose file system hangs at %s', (operation, kind, required, verdict) => {
  test(`fails by itself as a ${kind} place: the other one has the backup`, async () => {
    const { good, task, secrets } = await arrange(required);
    await mount.hang(operation);
    const ended = await runWith(stand.folder, task, secrets, [binDir], { stallMilliseconds });
    expect(await mount.met()).toBe(true);
    expect(ended.verdict).toMatchObject({
      verdict,
      destinations: [{ outcome: 'Stored' }, { outcome: 'Failed', reason: 'StorageUnreachable' }],
    });
    expect(await stand.keys(good)).toContain(manifest);
  });
});

test('A disk that syncs for many times the stall limit is waited for, and told as what the run waits for', async () => {
  const task = backupTaskOf(server, {
    databases: { names: ['shop'] },
    destinations: [{ location: directoryLocation('mount', mount.path), required: true }],
  });
  await mount.hang('fsync');
  const running = runWith(stand.folder, task, pgSecret(server), [binDir], { stallMilliseconds });
  while (!(await mount.met())) await delay(50);
  // So long it takes; nobody waits for this to have happened.
  await delay(4 * stallMilliseconds);
  await mount.hang(undefined);
  const { verdict, log } = await running;
  expect(verdict).toMatchObject({ verdict: 'Succeeded', destinations: [{ outcome: 'Stored' }] });
  expect(log).toMatch(/"detail":"mount syncs for 1\d s"/);
  expect(log).toContain('WaitingForStorage');
});

function restoreInto(to: Postgres, database: string): RestoreTask['target'] {
  return { server: backupTaskOf(to, {}).source, databases: [{ source: 'shop', target: database }] };
}

/** Resolves when a call of the runner hangs. */
async function metBy(runner: RunnerProcess): Promise<void> {
  let ended = false;
  void runner.ended.then(() => (ended = true));
  while (!(await mount.met())) {
    if (ended) throw new Error(`it ended before: ${runner.output()}`);
    await delay(50);
  }
}

describe('The process of a runner', () => {
  async function start(task: BackupTask, secrets: Record<string, Record<string, string>>) {
    const root = await mkdtemp(join(stand.folder, 'root-'));
    await layRoot(root, task, secrets, podUids.first);
    const runner = startRunner(root, [binDir]);
    return { runner, verdict: async () => parseVerdict(await readFile(join(root, 'termination-message'), 'utf8')) };
  }

  test('ends by itself although a best-effort folder hangs from the start, and tells what came of it', async () => {
    const { good, task, secrets } = await arrange(false);
    await mount.hang('getattr');
    const { runner, verdict } = await start(task, secrets);
    expect(await runner.ended).toBe(0);
    expect(await verdict()).toMatchObject({ verdict: 'Succeeded', destinations: [{}, { outcome: 'Failed' }] });
    expect(await stand.keys(good)).toContain(manifest);
  });

  test.each(['getattr', 'write', 'fsync'] as const)(
    'ends on SIGTERM although a required folder hangs at %s, with its verdict',
    async (operation) => {
      const { task, secrets } = await arrange(true);
      await mount.hang(operation);
      const { runner, verdict } = await start(task, secrets);
      await metBy(runner);
      runner.kill('SIGTERM');
      expect(await runner.ended).toBe(75);
      expect(await verdict()).toMatchObject({ verdict: 'Failed', reason: 'Aborted' });
    },
  );

  test.each(['getattr', 'read'] as const)(
    'ends on SIGTERM although the folder that it restores from hangs at %s, with its verdict',
    async (operation) => {
      const location = directoryLocation('mount', mount.path);
      const secrets = pgSecret(server);
      const backup = backupTaskOf(server, {
        databases: { names: ['shop'] },
        destinations: [{ location, required: true }],
      });
      expect((await runWith(stand.folder, backup, secrets, [binDir])).code).toBe(0);
      await mount.hang(operation);
      const root = await mkdtemp(join(stand.folder, 'root-'));
      const task = restoreTaskOf(server, [location], { target: restoreInto(server, 'restored') });
      await layRoot(root, task, secrets, podUids.first);
      const runner = startRunner(root, [binDir]);
      await metBy(runner);
      runner.kill('SIGTERM');
      expect(await runner.ended).toBe(75);
      const verdict = parseVerdict(await readFile(join(root, 'termination-message'), 'utf8'));
      expect(verdict).toMatchObject({ kind: 'restore', verdict: 'Failed', reason: 'Aborted', target: 'Untouched' });
    },
  );

  test('ends on SIGTERM although an inspection hangs', async () => {
    await mount.hang('getattr');
    const root = await mkdtemp(join(stand.folder, 'root-'));
    const task = {
      version: 1,
      kind: 'inspect',
      namespace: 'shop',
      location: directoryLocation('mount', mount.path),
      accessMode: 'ReadOnly',
      probe: true,
      inspector: 'a1b2c3d4',
      fullPart: false,
      pageSize: 100,
      waitForSecretSeconds: 1,
    } as const;
    await layRoot(root, task, {}, podUids.first);
    const runner = startRunner(root, [binDir]);
    await metBy(runner);
    runner.kill('SIGTERM');
    expect(await runner.ended).toBe(75);
    const verdict = parseVerdict(await readFile(join(root, 'termination-message'), 'utf8'));
    expect(verdict).toMatchObject({ kind: 'inspect', verdict: 'Failed', reason: 'Aborted' });
  });
});
