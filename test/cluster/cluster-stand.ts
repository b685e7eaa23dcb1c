import { readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { imageName } from '../../src/codegen/install.ts';
import { programVersion } from '../../src/support/version.ts';
import { buildImage } from '../servers/build-image.ts';
import { startKubeNode, type KubeNode } from '../servers/kube-node.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { startS3, type S3Server } from '../servers/s3.ts';
import { startSshd, type Sshd } from '../servers/sshd.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
export const testImage = 'kube.test/pgbackup:1';

/** A cluster with our image on its node, and PostgreSQL, S3 and SFTP beside it, which pods reach. */
export interface ClusterStand {
  readonly node: KubeNode;
  readonly server: Postgres;
  /** Folders in which bucket and SFTP server keep their files. */
  readonly bucket: string;
  readonly sftpFolder: string;
  /** manifests/install.yaml with the image that was built. */
  readonly install: string;
  readonly imageSeconds: number;
  /** Secrets and locations of a namespace. */
  places(): string;
  stop(): Promise<void>;
}

export const document = (kind: string, name: string, rest: object, apiVersion = 'pgbackup.dev/v1'): object => ({
  apiVersion,
  kind,
  metadata: { name },
  ...rest,
});
export const print = (...documents: readonly object[]): string =>
  documents.map((each) => JSON.stringify(each)).join('\n---\n');

export async function startClusterStand(): Promise<ClusterStand> {
  const folder = await mkdtemp(join(tmpdir(), 'pgb-cluster-'));
  await chmod(folder, 0o755);
  const stops: (() => Promise<void>)[] = [() => rm(folder, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const each of stops.splice(0).reverse()) await each();
  };
  try {
    const building = buildImage({ root, cache: join(root, '.cache/image'), name: testImage });
    // Awaited below; if the node does not start, this must not be a rejection that nobody heard.
    building.catch(() => undefined);
    stops.push(async () => (await building.catch(() => undefined))?.remove());
    const node = await startKubeNode(process.env);
    stops.push(() => node.stop());
    const { address } = node;
    const server = await startServer(folder);
    stops.push(() => server.stop());
    const s3Folder = join(folder, 's3');
    const s3 = await startS3({ dir: s3Folder, versitygw: process.env['VERSITYGW'], address });
    stops.push(() => s3.stop());
    await s3.createBucket('backups');
    const sshd = await startSshd({ dir: join(folder, 'ssh'), address });
    stops.push(() => sshd.stop());
    const sftpFolder = join(folder, 'sftp');
    await mkdir(sftpFolder);
    const image = await building;
    await node.loadImage(image.archive);
    const install = readFileSync(join(root, 'manifests/install.yaml'), 'utf8');
    return {
      node,
      server,
      bucket: join(s3Folder, 'backups'),
      sftpFolder,
      install: install.replaceAll(`${imageName}:${programVersion}`, testImage),
      imageSeconds: image.seconds,
      places: () => printPlaces({ server, s3, sshd, sftpFolder }),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** With the lowest version that is here: the image has only what its distribution has. */
async function startServer(folder: string): Promise<Postgres> {
  const [binDir] = await listBinDirs(process.env['POSTGRES_BINDIRS']);
  if (binDir === undefined) throw new Error('there is no PostgreSQL server on this machine');
  const hba = join(folder, 'pg_hba.conf');
  await writeFile(hba, 'local all all scram-sha-256\nhost all all 0.0.0.0/0 scram-sha-256\n');
  const settings = { listen_addresses: '0.0.0.0', hba_file: hba };
  const server = await startPostgres({ binDir, dir: join(folder, 'pg'), settings });
  await server.sql('CREATE DATABASE shop');
  await server.sql(
    'CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS note FROM generate_series(1, 20000) i',
    'shop',
  );
  return server;
}

function printPlaces(servers: {
  readonly server: Postgres;
  readonly s3: S3Server;
  readonly sshd: Sshd;
  readonly sftpFolder: string;
}): string {
  const { server, s3, sshd, sftpFolder } = servers;
  const secret = (name: string, stringData: object): object => document('Secret', name, { stringData }, 'v1');
  return print(
    secret('shop-db', { username: server.user, password: server.password }),
    secret('bucket', { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey }),
    secret('sftp-login', { username: sshd.username, privateKey: sshd.privateKey }),
    document('BackupLocation', 'bucket', {
      spec: {
        s3: {
          bucket: 'backups',
          endpoint: s3.endpoint,
          region: 'us-east-1',
          forcePathStyle: true,
          credentials: { secretName: 'bucket' },
        },
      },
    }),
    document('BackupLocation', 'sftp', {
      spec: {
        sftp: {
          host: sshd.host,
          port: sshd.port,
          path: sftpFolder,
          credentials: { secretName: 'sftp-login' },
          hostKeys: sshd.hostKeys,
        },
      },
    }),
  );
}
