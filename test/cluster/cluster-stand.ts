import { readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { imageName } from '../../src/codegen/install.ts';
import { programVersion } from '../../src/support/version.ts';
import { startTcpProxy } from '../faults/tcp-proxy.ts';
import { buildImage } from '../servers/build-image.ts';
import { startKubeNode, type KubeNode } from '../servers/kube-node.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { startS3, type S3Server } from '../servers/s3.ts';
import { startSshd, type Sshd } from '../servers/sshd.ts';
import { document } from './cluster-user.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
export const testImage = 'kube.test/pgbackup:1';

/**
 * A cluster with our image on its node, and PostgreSQL, S3 and SFTP servers beside it, which pods reach at `node.address`. There can be
 * one on a machine: files of the project `cluster` run one after the other, each with a stand of its own (about 15 s); the image is built
 * once for all of them.
 *
 *     const stand = await startClusterStand();    // in beforeAll, with time for building the image
 *     await stand.install();                      // definitions, roles, two replicas
 *     const user = openClusterUser(stand);        // what somebody with kubectl does
 *     await user.makeNamespace('shop');           // with Secrets and locations
 *     await user.apply('shop', user.policy('nightly', { schedule: '* * * * *' }), user.backup('now', 'nightly'));
 *     …
 *     await stand.stop();
 */
export interface ClusterStand {
  readonly node: KubeNode;
  /** Has the database `shop` with a table of 20 000 rows; Secrets of a namespace hold its user and password. */
  readonly server: Postgres;
  /**
   * Another port of the server. Whoever counts runs by host and port takes it for another server, so that runs of one case do not queue
   * behind those of another.
   */
  openDoor(): Promise<number>;
  /** Folders in which bucket and SFTP server keep their files. */
  readonly bucket: string;
  readonly sftpFolder: string;
  /** A folder on the node for other files, such as those of a local volume. */
  readonly folder: string;
  /** 0: what was built before is still the same. */
  readonly imageSeconds: number;
  /** Secrets `shop-db`, `bucket` and `sftp-login`, and the locations `bucket` and `sftp`: for each namespace. */
  readonly places: readonly object[];
  /** Applies manifests/install.yaml as it is, but with the image that was built, and waits until the definitions are there. */
  install(): Promise<void>;
  stop(): Promise<void>;
}

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
    stops.push(async () => void (await building.catch(() => undefined)));
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
    const printed = readFileSync(join(root, 'manifests/install.yaml'), 'utf8');
    const install = printed.replaceAll(`${imageName}:${programVersion}`, testImage);
    return {
      node,
      server,
      openDoor: async () => {
        const door = await startTcpProxy(server, '0.0.0.0');
        stops.push(() => door.stop());
        return door.port;
      },
      bucket: join(s3Folder, 'backups'),
      sftpFolder,
      folder,
      imageSeconds: image.seconds,
      places: makePlaces({ server, s3, sshd, sftpFolder }),
      install: async () => {
        await node.kubectl(['apply', '-f', '-'], install);
        await node.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
      },
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

function makePlaces(servers: {
  readonly server: Postgres;
  readonly s3: S3Server;
  readonly sshd: Sshd;
  readonly sftpFolder: string;
}): readonly object[] {
  const { server, s3, sshd, sftpFolder } = servers;
  const secret = (name: string, stringData: object): object => document('Secret', name, { stringData }, 'v1');
  return [
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
  ];
}
