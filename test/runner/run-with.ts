import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Writable } from 'node:stream';
import { transports } from 'winston';
import { attemptOf } from '../../src/domain/attempt.ts';
import { findResults, parseVerdict, type ResultLine, type Verdict } from '../../src/domain/report.ts';
import { runnerFiles, type BackupTask, type Task, type TaskLocation } from '../../src/domain/task.ts';
import { runTask, type RunOptions } from '../../src/runner/run.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { openLog } from '../../src/support/log.ts';
import { redactor } from '../../src/support/redaction.ts';
import type { Postgres } from '../servers/postgres.ts';
import type { S3Server } from '../servers/s3.ts';
import type { Sshd } from '../servers/sshd.ts';

/** Secret → key → value. */
export type TestSecrets = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface RunEnd {
  readonly code: number;
  readonly verdict: Verdict;
  readonly verdictText: string;
  readonly results: readonly ResultLine[];
  readonly log: string;
}

export const podUids = {
  first: '11111111-0000-4000-8000-000000000000',
  second: '22222222-0000-4000-8000-000000000000',
} as const;

/** Their tries at the Backup of `backupTaskOf`. */
export const attempts = {
  first: attemptOf(podUids.first, 'backup-uid') ?? '',
  second: attemptOf(podUids.second, 'backup-uid') ?? '',
} as const;

/** Lays out a runner's root as a pod sees it. */
export async function layRoot(root: string, task: Task, secrets: TestSecrets, podUid: string): Promise<void> {
  const lay = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text, { mode: 0o600 });
  };
  await lay(runnerFiles.task, JSON.stringify(task));
  await lay(runnerFiles.podUid, podUid);
  for (const [secretName, keys] of Object.entries(secrets)) {
    for (const [key, value] of Object.entries(keys)) await lay(runnerFiles.secret(secretName, key), value);
  }
}

/** Runs one task in this process, below a new root in `folder`, and gives everything that it answered. */
export async function runWith(
  folder: string,
  task: Task,
  secrets: TestSecrets,
  programDirs: readonly string[],
  changes: Partial<RunOptions> & { readonly podUid?: string } = {},
): Promise<RunEnd> {
  const root = await mkdtemp(join(folder, 'root-'));
  const { podUid = podUids.first, ...options } = changes;
  await layRoot(root, task, secrets, podUid);
  const redact = redactor();
  let log = '';
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      log += chunk.toString();
      done();
    },
  });
  const terminationMessage = join(root, 'termination-message');
  const code = await runTask({
    root,
    terminationMessage,
    clock: systemClock,
    random: systemRandom,
    log: openLog({ level: 'debug', redact, transport: new transports.Stream({ stream }) }),
    redactor: redact,
    signal: new AbortController().signal,
    programDirs,
    version: '0.0.0-test',
    ...options,
  });
  const verdictText = await readFile(terminationMessage, 'utf8');
  const verdict = parseVerdict(verdictText);
  if (verdict === undefined) throw new Error(`no verdict: ${verdictText}`);
  const results = findResults(log, verdict.resultLines);
  if (results === undefined) throw new Error(`not ${verdict.resultLines} result lines: ${log}`);
  await rm(root, { recursive: true, force: true });
  return { code, verdict, verdictText, results, log };
}

/** A backup of a test server; everything else as changed. */
export function backupTaskOf(server: Pick<Postgres, 'host' | 'port'>, changes: Partial<BackupTask>): BackupTask {
  return {
    version: 1,
    kind: 'backup',
    namespace: 'shop',
    policy: { name: 'nightly', uid: 'policy-uid' },
    backup: { name: 'nightly-20260101t030000z', uid: 'backup-uid' },
    source: {
      host: server.host,
      port: server.port,
      tls: { mode: 'disable' },
      credentials: { secretName: 'pg', keys: { username: 'username', password: 'password', uri: 'uri' } },
    },
    databases: { all: true },
    dump: { globals: true, rolePasswords: false, lockTimeoutSeconds: 10 },
    compression: { algorithm: 'zstd' },
    volumeBytes: 8_388_608_000,
    destinations: [],
    waitForServerSeconds: 5,
    waitForSecretSeconds: 1,
    ...changes,
  };
}

export function pgSecret(server: Pick<Postgres, 'user' | 'password'>): TestSecrets {
  return { pg: { username: server.user, password: `${server.password}\n` } };
}

export function directoryLocation(name: string, path: string): TaskLocation {
  return { name, place: { directory: { path } } };
}

export function s3Location(name: string, server: S3Server, bucket: string): TaskLocation {
  const keys = { accessKeyId: 'accessKeyId', secretAccessKey: 'secretAccessKey', sessionToken: 'sessionToken' };
  return {
    name,
    place: {
      s3: {
        bucket,
        prefix: 'some/prefix',
        endpoint: server.endpoint,
        forcePathStyle: true,
        credentials: { secretName: 's3', keys },
      },
    },
  };
}

export function s3Secret(server: S3Server): TestSecrets {
  return { s3: { accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey } };
}

export function sftpLocation(name: string, server: Sshd, path: string): TaskLocation {
  const { host, port, hostKeys } = server;
  const keys = { username: 'username', password: 'password', privateKey: 'privateKey', passphrase: 'passphrase' };
  return {
    name,
    place: { sftp: { host, port, path, hostKeys: [...hostKeys], credentials: { secretName: 'sftp', keys } } },
  };
}

export function sftpSecret(server: Sshd): TestSecrets {
  return { sftp: { username: server.username, privateKey: server.privateKey } };
}
