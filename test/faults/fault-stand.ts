import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { S3Client } from '@aws-sdk/client-s3';
import type { BackupLocation } from '../../src/api/kinds.ts';
import { openControllerMetrics, type ControllerMetrics } from '../../src/controller/metrics/open-controller-metrics.ts';
import { resources } from '../../src/controller/resources.ts';
import type { KubeObject } from '../../src/kube/client.ts';
import { startLocalOperator, type LocalOperator } from '../../src/local/operator.ts';
import { secretType } from '../../src/local/workload-types.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { silentLog } from '../../src/support/log.ts';
import { startS3, type S3Server } from '../servers/s3.ts';
import { startSshd, type Sshd } from '../servers/sshd.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { reachServer, type DatabaseServer } from './database-server.ts';
import { bucketPlace, folderPlace, type PlaceUse } from './places.ts';
import { startHttpProxy, type HttpProxy } from './http-proxy.ts';
import type { SftpRule } from './sftp-subsystem.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';
import { templateOf, type Size } from './seed-databases.ts';
import type { Certificate } from '../servers/certificates.ts';
import type { SharedServer } from './share-server.ts';
import { installPrograms } from './wrapped-programs.ts';
import { compileCache } from '../compile-cache.ts';

export const never = new AbortController().signal;
export const namespace = 'default';
export const s3Prefix = 'kept';

export interface SftpPlace extends PlaceUse {
  readonly proxy: TcpProxy;
  readonly sshd: Sshd;
  /** The rule of the connections to come. */
  rule(rule: SftpRule): Promise<void>;
  /** How often the rule was met. */
  met(): Promise<number>;
}

export interface S3Overrides {
  readonly endpoint?: string;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  readonly required?: boolean;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly server?: S3Server;
  readonly serverFolder?: string;
}

export interface FolderOptions {
  readonly required?: boolean;
  /** Where it is; a new folder if absent. */
  readonly root?: string;
  /** The path that the location is told, if it is another one (a symbolic link to the root). */
  readonly path?: string;
}

/** Real servers with proxies in front of them, and the operator. */
export interface FaultStand {
  readonly folder: string;
  readonly binDir: string;
  readonly server: DatabaseServer;
  /** Runs connect over TLS; servers of cases have this certificate. */
  readonly tls: Certificate | undefined;
  /** Random bytes that the servers can read, for more large databases. */
  readonly blobsFile: string;
  readonly s3: S3Server;
  readonly s3Folder: string;
  readonly http: HttpProxy;
  readonly operator: LocalOperator;
  readonly metrics: ControllerMetrics;
  /** As `operator`, but its runners give a place up that takes nothing for ten seconds, and know folders that lie. */
  readonly impatient: { readonly operator: LocalOperator; readonly metrics: ControllerMetrics };
  makeDatabase(name: string, size: Size): Promise<void>;
  postgresProxy(server?: DatabaseServer): Promise<TcpProxy>;
  /** A script that pg_dump of this database (or pg_dumpall from it) is; `$REAL` is the true one. */
  wrapProgram(database: string, script: string | undefined): Promise<void>;
  putSecret(name: string, values: Readonly<Record<string, string>>): Promise<void>;
  putLocation(name: string, spec: Readonly<Record<string, unknown>>): Promise<void>;
  location(name: string): BackupLocation | undefined;
  makeS3(name: string, overrides?: S3Overrides): Promise<PlaceUse>;
  makeSftp(name: string, options?: FolderOptions): Promise<SftpPlace>;
  makeFolder(name: string, options?: FolderOptions): Promise<PlaceUse>;
  /** A place of this kind that never fails; the same for all cases. */
  healthy(kind: 's3' | 'sftp' | 'directory'): Promise<PlaceUse>;
  /** The pids of a Backup's runner and what it started. */
  runnersOf(backup: string): Promise<readonly { readonly pid: number; readonly isNode: boolean }[]>;
  /** Called when the stand goes. */
  onStop(work: () => Promise<unknown>): void;
  stop(): Promise<void>;
}

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const impatientMain = fileURLToPath(new URL('runner-process.ts', import.meta.url));
const subsystem = fileURLToPath(new URL('sftp-subsystem.ts', import.meta.url));
export const sftpServerProgram = '/usr/lib/openssh/sftp-server';

/** @param versitygw without it an S3 server that checks nothing is started: for cases that do not use it. */
export async function startFaultStand(shared: SharedServer, versitygw: string | undefined): Promise<FaultStand> {
  const { binDir, blobsFile } = shared;
  const temporary = await makeTemporaryFolder();
  const folder = temporary.path;
  await chmod(folder, 0o755);
  const endings: (() => Promise<unknown>)[] = [];
  const server = reachServer(shared);
  const s3Folder = join(folder, 's3');
  const s3 = await startS3({ dir: s3Folder, versitygw });
  endings.push(() => s3.stop());
  const http = await startHttpProxy(s3.endpoint);
  endings.push(() => http.stop());
  const client = new S3Client({
    region: 'us-east-1',
    endpoint: s3.endpoint,
    forcePathStyle: true,
    credentials: { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
  });
  const programs = await installPrograms(folder, binDir);
  const start = async (state: string, command: string) => {
    const metrics = openControllerMetrics(systemClock, { processMetrics: false });
    const operator = await startLocalOperator([], {
      stateDir: join(folder, state),
      platform: process.platform,
      command: [process.execPath, command],
      env: {
        PATH: '/usr/bin:/bin',
        LANG: 'C.UTF-8',
        PGBACKUP_PROGRAMS: programs.folder,
        ...compileCache,
      },
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      hostName: 'faults',
      hooks: metrics.hooks,
    });
    metrics.follow(operator.controller);
    endings.push(() => operator.stop());
    return { operator, metrics };
  };
  const { operator, metrics } = await start('state', main);
  const impatient = await start('impatient', impatientMain);

  /** What is shared is for both; an object is inspected by each operator that has it. */
  const operatorsOf = (name: string): readonly LocalOperator[] => {
    if (name === 'admin' || name.startsWith('healthy-')) return [operator, impatient.operator];
    return [name.endsWith('-stall') || name.startsWith('lying-directory') ? impatient.operator : operator];
  };
  const putObject = async (kind: 'secret' | 'location', object: KubeObject): Promise<void> => {
    const type = kind === 'secret' ? secretType : resources.location;
    for (const one of operatorsOf(object.metadata.name ?? '')) {
      const old = await one.client.get(type, namespace, object.metadata.name ?? '', never);
      if (old === undefined) await one.client.create(type, object, never);
      else await one.client.put(type, { ...old, ...object, metadata: old.metadata }, never);
    }
  };
  let making: Promise<unknown> = Promise.resolve();
  const healthy = new Map<string, Promise<PlaceUse>>();
  const stand: FaultStand = {
    folder,
    binDir,
    server,
    tls: shared.tls,
    blobsFile,
    s3,
    s3Folder,
    http,
    operator,
    metrics,
    impatient,
    makeDatabase: async (name, size) => {
      // One at a time: a template is copied by one session only. One that fails takes none of the next ones with it.
      const made = making.then(async () => server.sql(`CREATE DATABASE "${name}" TEMPLATE ${templateOf(size)}`));
      making = made.catch(() => {});
      await made;
    },
    postgresProxy: async (other = server) => {
      const proxy = await startTcpProxy(other);
      endings.unshift(() => proxy.stop());
      return proxy;
    },
    wrapProgram: (database, script) => programs.wrap(database, script),
    putSecret: async (name, values) =>
      putObject('secret', {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name, namespace },
        type: 'Opaque',
        data: Object.fromEntries(
          Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
        ),
      }),
    putLocation: async (name, spec) =>
      putObject('location', {
        apiVersion: 'pgbackup.dev/v1beta1',
        kind: 'BackupLocation',
        metadata: { name, namespace },
        spec: { inspectionIntervalSeconds: 604_800, ...spec },
      }),
    location: (name) => operator.locations().find(({ metadata }) => metadata.name === name),
    makeS3: async (name, overrides = {}) => {
      const at = overrides.server ?? s3;
      const { accessKeyId = at.accessKeyId, secretAccessKey = at.secretAccessKey, required = true } = overrides;
      const bucketFolder = join(overrides.serverFolder ?? s3Folder, name);
      await mkdir(bucketFolder, { recursive: true });
      await stand.putSecret(name, { accessKeyId, secretAccessKey });
      const prefix = `${s3Prefix}/${name}`;
      const where = { bucket: name, prefix, forcePathStyle: true };
      await stand.putLocation(name, {
        s3: {
          ...where,
          endpoint: overrides.endpoint ?? http.endpoint,
          credentials: { secretName: name },
          ...overrides.spec,
        },
      });
      const direct = { ...where, endpoint: s3.endpoint };
      const keys = { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey };
      const use = bucketPlace(name, required, bucketFolder, { s3: direct }, keys, client);
      // Another server's store is only looked at as files.
      return overrides.server === undefined ? use : { ...folderPlace(name, use.root, required) };
    },
    makeSftp: async (name, { required = true, root = join(folder, 'sftp', name), path = root } = {}) => {
      await mkdir(root, { recursive: true });
      const dir = await mkdtemp(join(folder, 'sshd-'));
      const ruleFile = join(dir, 'rule.json');
      await writeFile(ruleFile, '{}');
      const sshd = await startSshd({
        dir: join(dir, 'sshd'),
        sftpServer: `/usr/bin/env NODE_COMPILE_CACHE=${compileCache['NODE_COMPILE_CACHE'] ?? ''} ${process.execPath} ${subsystem} ${sftpServerProgram} ${ruleFile}`,
      });
      const proxy = await startTcpProxy(sshd);
      endings.unshift(() => proxy.stop());
      endings.push(() => sshd.stop());
      await stand.putSecret(name, { username: sshd.username, privateKey: sshd.privateKey });
      await stand.putLocation(name, {
        sftp: {
          host: proxy.host,
          port: proxy.port,
          path,
          hostKeys: sshd.hostKeys.map((line) => line.split(' ').slice(1).join(' ')),
          credentials: { secretName: name },
        },
      });
      return {
        ...folderPlace(name, root, required),
        proxy,
        sshd,
        rule: (rule) => writeFile(ruleFile, JSON.stringify(rule)),
        met: async () => (JSON.parse(await readFile(ruleFile, 'utf8')) as SftpRule).met ?? 0,
      };
    },
    makeFolder: async (name, { required = true, root = join(folder, 'folders', name), path = root } = {}) => {
      await mkdir(root, { recursive: true });
      await stand.putLocation(name, { directory: { path } });
      return folderPlace(name, root, required);
    },
    healthy: (kind) => {
      const make = (): Promise<PlaceUse> => {
        const name = `healthy-${kind}`;
        if (kind === 's3') return stand.makeS3(name);
        return kind === 'sftp' ? stand.makeSftp(name) : stand.makeFolder(name);
      };
      const place = healthy.get(kind) ?? make();
      healthy.set(kind, place);
      return place;
    },
    runnersOf: async (backup) => findProcesses(`pgb-${backup}-`),
    onStop: (work) => void endings.unshift(work),
    stop: async () => {
      // Operators first, while what their runners talk to still answers.
      for (const one of [operator, impatient.operator]) one.kill();
      for (const end of endings.toReversed()) await end();
      client.destroy();
      await temporary.remove();
    },
  };
  await stand.putSecret('admin', { username: server.user, password: server.password });
  return stand;
}

async function findProcesses(
  folderPart: string,
): Promise<readonly { readonly pid: number; readonly isNode: boolean }[]> {
  const found: { readonly pid: number; readonly isNode: boolean }[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      if (!(await readlink(`/proc/${entry}/cwd`)).includes(folderPart)) continue;
      const command = await readFile(`/proc/${entry}/cmdline`, 'utf8');
      found.push({ pid: Number(entry), isNode: /main\.ts|runner-process\.ts/.test(command) });
    } catch {
      // Gone between two looks, or not ours to see.
    }
  }
  return found;
}

/** A key nobody knows. */
export function randomSecret(): string {
  return randomBytes(12).toString('hex');
}

export async function removeFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 3 });
}
