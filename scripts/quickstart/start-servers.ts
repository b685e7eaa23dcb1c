import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { makeAuthority } from '../../test/servers/certificates.ts';
import { listBinDirs, startPostgres, type Postgres } from '../../test/servers/postgres.ts';
import { findProgram } from '../../test/servers/programs.ts';
import { startS3, type S3Server } from '../../test/servers/s3.ts';
import { startSshd, type Sshd } from '../../test/servers/sshd.ts';

export interface Servers {
  readonly postgres: Postgres;
  /** PEM of the authority that PostgreSQL's certificate is from. */
  readonly ca: string;
  readonly s3: S3Server;
  readonly bucket: string;
  readonly sshd: Sshd;
  /** Folder that the SFTP location is. */
  readonly sftpFolder: string;
  /** Folder that the directory location is. */
  readonly disk: string;
}

/** Everything that a backup talks to, on free ports of 127.0.0.1 and below `folder`; `owned` ends it. */
export async function startServers(folder: string, owned: AsyncDisposableStack): Promise<Servers> {
  const bucket = 'my-backups';
  const sftpFolder = join(folder, 'sftp');
  const disk = join(folder, 'disk');
  for (const path of [sftpFolder, disk]) await mkdir(path);

  const [binDir] = await listBinDirs(process.env['POSTGRES_BINDIRS']);
  if (binDir === undefined) throw new Error('there is no PostgreSQL server program; run: make setup');
  const sshdProgram = findProgram('sshd');
  if (sshdProgram === undefined) throw new Error('there is no sshd; run: make setup');

  // Also what is still starting when everything ends is waited for, and ended.
  const keep = <Server extends { stop(): Promise<void> }>(starting: Promise<Server>): Promise<Server> => {
    owned.defer(async () => {
      const server = await starting.catch(() => undefined);
      await server?.stop();
    });
    return starting;
  };
  const authority = await makeAuthority(join(folder, 'ca'), 'quickstart');
  const tls = await authority.issue({ host: '127.0.0.1' });
  const started = await Promise.allSettled([
    keep(
      startPostgres({
        binDir,
        dir: join(folder, 'pg'),
        tls,
        settings: {
          // A sample that is thrown away needs no log to recover from.
          wal_level: 'minimal',
          max_wal_senders: '0',
          shared_buffers: '128MB',
          maintenance_work_mem: '128MB',
        },
      }),
    ),
    keep(startS3({ dir: join(folder, 's3'), versitygw: process.env['VERSITYGW'] })),
    keep(startSshd({ dir: join(folder, 'sshd'), sshd: sshdProgram })),
  ]);
  const [postgres, s3, sshd] = started.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  }) as [Postgres, S3Server, Sshd];
  await s3.createBucket(bucket);
  return { postgres, ca: authority.ca, s3, bucket, sshd, sftpFolder, disk };
}
