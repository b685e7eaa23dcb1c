import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { S3Client, paginateListObjectsV2, DeleteObjectCommand } from '@aws-sdk/client-s3';
import { parseVerdict } from '../src/domain/report.ts';
import { runnerEnvironment } from '../src/domain/runner-environment.ts';
import type { BackupTask, TaskLocation } from '../src/domain/task.ts';
import {
  backupTaskOf,
  directoryLocation,
  layRoot,
  pgSecret,
  s3Location,
  s3Secret,
  sftpLocation,
  sftpSecret,
} from '../test/runner/run-with.ts';
import type { S3Server } from '../test/servers/s3.ts';
import type { Sshd } from '../test/servers/sshd.ts';
import { databaseName, type BenchDatabase } from './bench-database.ts';
import { measureProcess, type Measurement } from './measure-process.ts';
import { rcloneEnvironment } from './rclone-environment.ts';

export interface BenchRun extends Measurement {
  readonly storedBytes: number;
}

export interface Contender {
  readonly name: string;
  /** One whole backup; what it stored is removed again. @throws Error when it failed */
  run(): Promise<BenchRun>;
}

export type Place = 's3' | 'sftp' | 'directory';

export interface Stand {
  readonly folder: string;
  readonly s3: S3Server;
  /** Undefined when no contender needs it. */
  readonly sshd: Sshd | undefined;
  readonly bucket: string;
}

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const path = (process.env['PATH'] ?? '')
  .split(':')
  .filter((folder) => !folder.includes('node_modules'))
  .join(':');

/** The built runner, with a task of one database, zstd 3, to these places. */
export function runner(
  name: string,
  database: BenchDatabase,
  stand: Stand,
  places: readonly Place[],
  changes: Pick<BackupTask, 'encryption'> = {},
): Contender {
  return {
    name,
    run: async () => {
      const root = await mkdtemp(join(stand.folder, 'root-'));
      const sftpFolder = join(root, 'sftp');
      const directory = join(root, 'directory');
      await Promise.all([mkdir(sftpFolder), mkdir(directory)]);
      const { sshd } = stand;
      const locationOf = (place: Place): TaskLocation => {
        if (place === 's3') return s3Location('s3', stand.s3, stand.bucket);
        if (place === 'directory') return directoryLocation('directory', directory);
        if (sshd === undefined) throw new Error('no sshd was started');
        return sftpLocation('sftp', sshd, sftpFolder);
      };
      const task = backupTaskOf(database, {
        databases: { names: [databaseName] },
        dump: { globals: false, rolePasswords: false, lockTimeoutSeconds: 60 },
        compression: { algorithm: 'zstd', level: 3 },
        destinations: places.map((place) => ({ location: locationOf(place), required: true })),
        ...changes,
      });
      const secrets = { ...s3Secret(stand.s3), ...(sshd === undefined ? {} : sftpSecret(sshd)), ...pgSecret(database) };
      await layRoot(root, task, secrets, '12345678-0000-4000-8000-000000000000');
      const terminationMessage = join(root, 'termination-message');
      try {
        const measured = await measureProcess([process.execPath, main, 'runner'], {
          ...runnerEnvironment,
          PATH: path,
          PGBACKUP_ROOT: root,
          PGBACKUP_TERMINATION_MESSAGE: terminationMessage,
          PGBACKUP_PROGRAMS: database.binDir,
        });
        const verdict = parseVerdict(await readFile(terminationMessage, 'utf8'));
        if (verdict?.kind !== 'backup' || verdict.verdict !== 'Succeeded')
          throw new Error(`the runner says ${verdict?.verdict}: ${verdict?.message}`);
        return { ...measured, storedBytes: verdict.storedBytes };
      } finally {
        await emptyBucket(stand);
        await rm(root, { recursive: true, force: true });
      }
    },
  };
}

/** A shell pipe into `rclone rcat`; `dump` is everything before it. */
export function shellPipe(name: string, dump: string, database: BenchDatabase, stand: Stand): Contender {
  const pipe = `"$PG_DUMP" -d ${databaseName} ${dump} | rclone rcat bench:${stand.bucket}/${databaseName}.dump`;
  return {
    name,
    run: async () => {
      try {
        const measured = await measureProcess(['bash', '-o', 'pipefail', '-c', pipe], {
          ...shellEnvironment(database, stand),
          ...rcloneEnvironment(stand.s3),
        });
        return { ...measured, storedBytes: await emptyBucket(stand) };
      } catch (error) {
        await emptyBucket(stand);
        throw error;
      }
    },
  };
}

/** `pg_dump | restic backup --stdin`, into a repository that is made anew for each run, unmeasured. */
export function resticPipe(name: string, database: BenchDatabase, stand: Stand): Contender {
  const pipe = `"$PG_DUMP" -d ${databaseName} -Fc -Z0 | restic backup -q --stdin --stdin-filename ${databaseName}.dump`;
  const env = {
    ...shellEnvironment(database, stand),
    RESTIC_REPOSITORY: `s3:${stand.s3.endpoint}/${stand.bucket}`,
    RESTIC_PASSWORD: 'bench',
    RESTIC_CACHE_DIR: join(stand.folder, 'restic-cache'),
    AWS_ACCESS_KEY_ID: stand.s3.accessKeyId,
    AWS_SECRET_ACCESS_KEY: stand.s3.secretAccessKey,
    AWS_DEFAULT_REGION: 'us-east-1',
  };
  return {
    name,
    run: async () => {
      try {
        await measureProcess(['restic', 'init', '-q'], env);
        const measured = await measureProcess(['bash', '-o', 'pipefail', '-c', pipe], env);
        return { ...measured, storedBytes: await emptyBucket(stand) };
      } catch (error) {
        await emptyBucket(stand);
        throw error;
      }
    },
  };
}

function shellEnvironment(database: BenchDatabase, { folder }: Stand): Readonly<Record<string, string>> {
  return {
    PATH: path,
    HOME: folder,
    PG_DUMP: join(database.binDir, 'pg_dump'),
    PGHOST: database.host,
    PGPORT: String(database.port),
    PGUSER: database.user,
  };
}

/** Deletes every object; resolves with the bytes there were. */
async function emptyBucket({ s3, bucket }: Stand): Promise<number> {
  const client = new S3Client({
    endpoint: s3.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
  });
  let bytes = 0;
  try {
    for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket: bucket })) {
      for (const { Key, Size = 0 } of Contents) {
        bytes += Size;
        await client.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
      }
    }
  } finally {
    client.destroy();
  }
  return bytes;
}
