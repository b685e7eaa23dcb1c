import { mkdtemp, readFile, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findProgress, findResults, parseVerdict } from '../../src/domain/report.ts';
import type { BackupTask } from '../../src/domain/task.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { attempts, backupTaskOf, layRoot, podUids, runWith, s3Location, type TestSecrets } from './run-with.ts';
import { lookAtTree, startRunner, watchTree, type RunnerProcess } from './runner-process.ts';
import { wrapPgDump } from './wrap-programs.ts';
import { placeKinds, required, startStand, type Stand } from './stand.ts';

const binDir = (await listBinDirs(process.env['POSTGRES_BINDIRS'])).at(-1) ?? '';
const password = 'pl4nted-pässword:with\\odd%chars';

let stand: Stand;
let server: Postgres;
beforeAll(async () => {
  stand = await startStand();
  server = await startPostgres({ binDir, dir: join(stand.folder, 'pg') });
  await server.sql(`CREATE ROLE app SUPERUSER LOGIN PASSWORD '${password}'`);
  await server.sql('CREATE DATABASE shop');
  await server.sql(
    `CREATE TABLE t (i int, m text); ALTER TABLE t ALTER m SET STORAGE EXTERNAL;
     INSERT INTO t SELECT i, repeat(md5(i::text), 128) FROM generate_series(1, 60000) i`,
    'shop',
  );
});
afterAll(async () => {
  await server?.stop();
  await stand?.stop();
});

function taskOf(changes: Partial<BackupTask>): BackupTask {
  return backupTaskOf(server, { databases: { names: ['shop'] }, ...changes });
}

async function start(task: BackupTask, secrets: TestSecrets): Promise<{ root: string; runner: RunnerProcess }> {
  const root = await mkdtemp(join(stand.folder, 'root-'));
  await layRoot(root, task, secrets, podUids.first);
  return { root, runner: startRunner(root, [binDir]) };
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; !(await what()); waited += 20) {
    if (waited > 60_000) throw new Error('it never came');
    await delay(20);
  }
}

test('no secret is in an argument, an environment, the log, the verdict or the store, and none stays on disk', async () => {
  const places = await stand.fresh();
  const locations = placeKinds.map((kind) => places[kind]);
  const uri = `postgresql://app:${encodeURIComponent(password)}@${server.host}:${server.port}/postgres?sslmode=disable`;
  const secrets = { ...stand.secrets, pg: { uri } };
  const { host: _host, ...source } = taskOf({}).source;
  const { root, runner } = await start(taskOf({ source, destinations: required(...locations) }), secrets);
  const seen = new Set<string>();
  const code = await watchTree(runner, 25, (tree) => {
    for (const { commandLine, environment } of tree) seen.add(commandLine).add(environment);
  });
  expect(code).toBe(0);
  expect([...seen].some((text) => text.includes('pg_dump'))).toBe(true);
  const verdict = await readFile(join(root, 'termination-message'), 'utf8');
  expect(parseVerdict(verdict)).toMatchObject({ verdict: 'Succeeded' });
  const stored: string[] = [];
  for (const location of locations) {
    const storage = await stand.open(location);
    for (const key of await stand.keys(location)) {
      if (key.includes('.dump')) continue;
      let text = '';
      for await (const chunk of storage.get(key, undefined, new AbortController().signal))
        text += Buffer.from(chunk).toString('latin1');
      stored.push(text);
    }
    await storage.close();
  }
  const planted = [
    password,
    encodeURIComponent(password),
    uri,
    stand.s3.secretAccessKey,
    stand.s3.accessKeyId,
    stand.sshd.privateKey.split('\n')[2] ?? 'none',
  ];
  for (const text of [...seen, runner.output(), verdict, ...stored]) {
    for (const secret of planted) expect(text).not.toContain(secret);
  }
  expect(await readdir(join(root, 'private'))).toEqual([]);
});

test('while a dump goes on, secrets lie in the folder in memory and nowhere else that can be written', async () => {
  const { directory } = await stand.fresh();
  const copies = await mkdtemp(join(stand.folder, 'copies-'));
  const copy = `cp -r "\${PGPASSFILE%/private/*}" ${copies}/root; exec "$REAL" "$@"`;
  const wrapped = await wrapPgDump(stand.folder, binDir, copy);
  const task = taskOf({ destinations: required(directory) });
  const ended = await runWith(stand.folder, task, { pg: { username: 'app', password } }, [wrapped]);
  expect(ended).toMatchObject({ code: 0, verdict: { verdict: 'Succeeded' } });
  const holding: string[] = [];
  for (const entry of await readdir(join(copies, 'root'), { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isFile() || !(await readFile(path, 'utf8')).includes('pl4nted-p')) continue;
    holding.push(relative(join(copies, 'root'), path));
  }
  expect(holding.map((path) => path.replace(/\b[0-9a-f]{32}\b/, '*')).sort()).toEqual([
    'private/libpq/*/passfile',
    'secrets/pg/password',
  ]);
});

test('a wrong password is told without it', async () => {
  const { directory } = await stand.fresh();
  const wrong = 'wr0ng-password-here';
  const ended = await runWith(
    stand.folder,
    taskOf({ destinations: required(directory) }),
    { pg: { username: 'app', password: wrong } },
    [binDir],
  );
  expect(ended).toMatchObject({ code: 77, verdict: { reason: 'AuthenticationFailed' } });
  expect(ended.verdict.message).toContain('"app"');
  expect(ended.log + ended.verdictText).not.toContain(wrong);
});

test('SIGTERM in the middle of an upload ends with verdict and code, without remains or processes', async () => {
  const places = await stand.fresh();
  const locations = placeKinds.map((kind) => places[kind]);
  const task = taskOf({
    destinations: required(...locations),
    compression: { algorithm: 'none' },
    volumeBytes: 8 * 1024 * 1024,
  });
  const { root, runner } = await start(task, { ...stand.secrets, pg: { username: 'app', password } });
  await until(async () => (await stand.keys(places.directory)).length >= 3);
  const children = (await lookAtTree(runner.pid)).map(({ pid }) => pid);
  expect(children.length).toBeGreaterThan(1);
  runner.kill('SIGTERM');
  expect(await runner.ended).toBe(75);
  expect(parseVerdict(await readFile(join(root, 'termination-message'), 'utf8'))).toMatchObject({
    verdict: 'Failed',
    reason: 'Aborted',
  });
  for (const location of locations) expect(await stand.keys(location)).toEqual([]);
  for (const pid of children) expect(await lookAtTree(pid)).toEqual([]);
  expect(await readdir(join(root, 'private'))).toEqual([]);
});

test('a killed runner leaves no manifest, and the next try of the same backup succeeds and clears what it left', async () => {
  const { directory } = await stand.fresh();
  const task = taskOf({ destinations: required(directory), compression: { algorithm: 'none' }, volumeBytes: 8 << 20 });
  const secrets = { ...stand.secrets, pg: { username: 'app', password } };
  const { runner } = await start(task, secrets);
  await until(async () => (await stand.keys(directory)).length >= 3);
  runner.kill('SIGKILL');
  expect(await runner.ended).toBe('SIGKILL');
  const left = await stand.keys(directory);
  expect(left.filter((key) => key.endsWith('manifest.json'))).toEqual([]);
  const next = await runWith(stand.folder, task, secrets, [binDir], { podUid: podUids.second });
  expect(next).toMatchObject({ code: 0, verdict: { verdict: 'Succeeded', attempt: attempts.second } });
  const keys = await stand.keys(directory);
  expect(keys.filter((key) => key.includes(`/${attempts.first}/`))).toEqual([]);
  expect(keys.filter((key) => key.includes(`/${attempts.second}/`)).length).toBeGreaterThan(0);
});

test('while a Secret or the server is missing the log says what it waits for', async () => {
  const { directory } = await stand.fresh();
  const task = taskOf({ destinations: required(directory), waitForSecretSeconds: 1, waitForServerSeconds: 1 });
  const noSecret = await runWith(stand.folder, task, {}, [binDir]);
  expect(noSecret).toMatchObject({ code: 78, verdict: { reason: 'SecretMissing' } });
  expect(noSecret.verdict.message).toContain('Secret pg has no key');
  expect(findProgress(noSecret.log)).toMatchObject({ waiting: 'WaitingForSecret' });

  const nobody = { ...task, source: { ...task.source, port: 1 } };
  const noServer = await runWith(stand.folder, nobody, { pg: { username: 'app', password } }, [binDir]);
  expect(noServer).toMatchObject({ code: 75, verdict: { reason: 'ServerUnreachable' } });
  expect(findProgress(noServer.log)).toMatchObject({ waiting: 'WaitingForServer' });
});

test('a missing Secret of one place takes only that place away', async () => {
  const { directory } = await stand.fresh();
  const task = taskOf({ destinations: required(directory, s3Location('keyless', stand.s3, 'bucket-1')) });
  const ended = await runWith(stand.folder, task, { pg: { username: 'app', password } }, [binDir]);
  expect(ended).toMatchObject({ code: 3, verdict: { verdict: 'PartlyFailed' } });
  expect(ended.verdict.kind === 'backup' && ended.verdict.destinations[1]).toMatchObject({ reason: 'SecretMissing' });
});

test('a task that cannot be read is a verdict too', async () => {
  const root = await mkdtemp(join(stand.folder, 'root-'));
  const runner = startRunner(root, [binDir]);
  expect(await runner.ended).toBe(64);
  expect(parseVerdict(await readFile(join(root, 'termination-message'), 'utf8'))).toMatchObject({
    kind: 'backup',
    verdict: 'Failed',
    reason: 'TaskInvalid',
  });
});

test('an inspection finds what a backup stored, at real places', async () => {
  const places = await stand.fresh();
  const locations = placeKinds.map((kind) => places[kind]);
  const secrets = { ...stand.secrets, pg: { username: 'app', password } };
  const backup = await runWith(stand.folder, taskOf({ destinations: required(...locations) }), secrets, [binDir]);
  expect(backup.code).toBe(0);
  for (const [index, location] of locations.entries()) {
    const ended = await runWith(
      stand.folder,
      {
        version: 1,
        kind: 'inspect',
        namespace: 'shop',
        location,
        accessMode: 'ReadWrite',
        inspector: '5eed5eed',
        probe: true,
        fullPart: true,
        pageSize: 1000,
        waitForSecretSeconds: 1,
      },
      secrets,
      [],
    );
    expect(ended).toMatchObject({ code: 0, verdict: { kind: 'inspect', verdict: 'Succeeded', backups: 1 } });
    const copy = backup.verdict.kind === 'backup' ? backup.verdict.destinations[index] : undefined;
    expect(findResults(ended.log, 1)).toMatchObject([
      { id: 'nightly-20260101t030000z', uid: 'backup-uid', stored: ['shop'], manifestSha256: copy?.manifestSha256 },
    ]);
    expect((await stand.keys(location)).filter((key) => key.includes('probe'))).toEqual([]);
  }
});
