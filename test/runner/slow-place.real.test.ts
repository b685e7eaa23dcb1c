import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { manifestKey } from '../../src/domain/layout.ts';
import { startTcpProxy, type TcpProxy } from '../faults/tcp-proxy.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { backupTaskOf, pgSecret, runWith, sftpLocation } from './run-with.ts';
import { startStand, type Stand } from './stand.ts';

const binDir = (await listBinDirs(process.env['POSTGRES_BINDIRS'])).at(-1) ?? '';
const manifest = manifestKey('shop', 'nightly', 'nightly-20260101t030000z');

let stand: Stand;
let server: Postgres;
let proxy: TcpProxy;
beforeAll(async () => {
  stand = await startStand();
  server = await startPostgres({ binDir, dir: join(stand.folder, 'pg') });
  proxy = await startTcpProxy(stand.sshd);
  await server.sql('CREATE DATABASE shop');
  // Some 60 MB.
  await server.sql(
    'CREATE TABLE t AS SELECT i, repeat(md5(i::text), 30) AS m FROM generate_series(1, 60000) i',
    'shop',
  );
});
afterAll(async () => {
  await proxy?.stop();
  await server?.stop();
  await stand?.stop();
});

/** To S3, and to an SFTP server behind a line of 200 KB/s that need not be: five minutes for what is due in three. */
async function backUp(seconds: number) {
  proxy.plan = () => ({ bytesPerSecond: 200_000 });
  const { s3, sftp } = await stand.fresh();
  const slow = sftpLocation('slow', { ...stand.sshd, port: proxy.port }, sftp.place.sftp?.path ?? '');
  const task = backupTaskOf(server, {
    databases: { names: ['shop'] },
    compression: { algorithm: 'none' },
    deadline: new Date(Date.now() + seconds * 1000).toISOString(),
    destinations: [
      { location: s3, required: true },
      { location: slow, required: false },
    ],
  });
  const atMs = performance.now();
  const ended = await runWith(stand.folder, task, { ...stand.secrets, ...pgSecret(server) }, [binDir]);
  return { ...ended, seconds: (performance.now() - atMs) / 1000, s3 };
}

test(
  'a best-effort place on a slow line is left out in time, and the required one has the backup',
  { timeout: 240_000 },
  async () => {
    const { code, verdict, seconds, s3 } = await backUp(180);
    expect(code).toBe(0);
    expect(verdict).toMatchObject({
      verdict: 'Succeeded',
      destinations: [{ outcome: 'Stored' }, { outcome: 'Failed', reason: 'StorageTooSlow' }],
    });
    expect(seconds).toBeLessThan(180);
    expect(await stand.keys(s3)).toContain(manifest);
  },
);
