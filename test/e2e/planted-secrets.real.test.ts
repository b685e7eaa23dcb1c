import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RestoreRequestStatus } from '../../src/api/restore-request.ts';
import { resources } from '../../src/controller/resources.ts';
import type { KubeObject, ResourceType } from '../../src/kube/client.ts';
import { loadObjects } from '../../src/local/load.ts';
import { startLocalOperator } from '../../src/local/operator.ts';
import { jobType, podType, secretType } from '../../src/local/workload-types.ts';
import { eventType } from '../../src/kube/events.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { fileTransport, openLog } from '../../src/support/log.ts';
import { never, until } from '../local/executor-world.ts';
import { startStand, type Stand } from '../runner/stand.ts';
import { listTree } from '../servers/temporary-folder.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { compileCache } from '../compile-cache.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const [binDir = ''] = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const wrong = { password: 'planted-wrong-p@ss/word', secretAccessKey: 'planted+wrong/secret+access+key' };

let stand: Stand;
let server: Postgres;
beforeAll(async () => {
  stand = await startStand();
  server = await startPostgres({ binDir, dir: join(stand.folder, 'pg') });
  await server.sql('CREATE DATABASE shop');
});
afterAll(async () => {
  await server?.stop();
  await stand?.stop();
});

const document = (kind: string, name: string, rest: object, apiVersion = 'pgbackup.dev/v1beta1'): string =>
  JSON.stringify({ apiVersion, kind, metadata: { name }, ...rest });
const secret = (name: string, stringData: object): string => document('Secret', name, { stringData }, 'v1');
const policy = (name: string, source: object, locations: readonly string[]): string =>
  document('BackupPolicy', name, {
    spec: {
      source: { postgres: { ...source, tls: { mode: 'disable' }, databases: { names: ['shop'] } } },
      destinations: locations.map((location) => ({ location })),
      runner: { retries: 0, waitForServerSeconds: 5 },
    },
  });

const restore = (source: object, target: object): object => ({
  source,
  target: { postgres: { ...target, tls: { mode: 'disable' } }, database: 'copy' },
  mode: 'Create',
  runner: { retries: 0, waitForServerSeconds: 5 },
});

it('no secret stands in any object, event, log or stored file, whether runs succeed or are refused', async () => {
  const places = await stand.fresh();
  const { s3, sftp, directory } = places;
  const wrongKeys = { ...s3.place.s3, credentials: { secretName: 's3-wrong' } };
  const login = encodeURIComponent(server.password);
  const at = { host: server.host, port: server.port };
  const documents = [
    secret('pg', {
      uri: `postgresql://${server.user}:${login}@${server.host}:${server.port}/postgres?sslmode=disable`,
    }),
    secret('pg-wrong', { username: server.user, password: wrong.password }),
    secret('s3', stand.secrets['s3'] ?? {}),
    secret('s3-wrong', { accessKeyId: stand.s3.accessKeyId, secretAccessKey: wrong.secretAccessKey }),
    secret('sftp', stand.secrets['sftp'] ?? {}),
    document('BackupLocation', 's3', { spec: s3.place }),
    document('BackupLocation', 's3-wrong', { spec: { s3: wrongKeys } }),
    document('BackupLocation', 'sftp', { spec: sftp.place }),
    document('BackupLocation', 'directory', { spec: directory.place }),
    policy('good', { credentials: { secretName: 'pg' } }, ['s3', 'sftp', 'directory']),
    policy('refused', { ...at, credentials: { secretName: 'pg-wrong' } }, ['directory']),
    policy('denied', { ...at, credentials: { secretName: 'pg' } }, ['s3-wrong']),
    ...['good', 'refused', 'denied'].map((name) => document('Backup', `${name}-now`, { spec: { policy: name } })),
    document('RestorePolicy', 'sleeps', {
      spec: {
        schedule: '@yearly',
        suspend: true,
        template: { spec: restore({ policy: { name: 'good', latest: true } }, { credentials: { secretName: 'pg' } }) },
      },
    }),
  ];
  const { objects, errors } = loadObjects([{ name: 'all', text: documents.join('\n---\n') }], '/');
  expect(errors).toEqual([]);
  const stateDir = join(stand.folder, 'state');
  const logFile = join(stand.folder, 'operator.log');
  const log = openLog({ level: 'debug', transport: fileTransport(logFile, { maxBytes: 1 << 24, files: 1 }) });
  const operator = await startLocalOperator(objects, {
    stateDir,
    platform: process.platform,
    command: [process.execPath, main],
    env: { ...compileCache, PATH: '/usr/bin:/bin', PGBACKUP_PROGRAMS: binDir },
    clock: systemClock,
    random: systemRandom,
    log,
    hostName: 'test',
  });
  const texts: string[] = [];
  try {
    const endings = await until(
      'all runs have ended',
      async () => {
        const ended = operator.backups().map(({ metadata, status }) => {
          const succeeded = status?.conditions?.find(({ type }) => type === 'Succeeded');
          return [metadata.name, succeeded?.status, succeeded?.reason];
        });
        return ended.every(([, status]) => status === 'True' || status === 'False') && ended.length === 3 && ended;
      },
      60,
    );
    // The S3 server from npm takes any signature; there the wrong key is only one more text that must not show.
    const denied = stand.s3.kind === 'fauxqs' ? ['True', 'Succeeded'] : ['False', 'StorageCredentialsInvalid'];
    expect(endings.toSorted(([a], [b]) => String(a).localeCompare(String(b)))).toEqual([
      ['denied-now', ...denied],
      ['good-now', 'True', 'Succeeded'],
      ['refused-now', 'False', 'AuthenticationFailed'],
    ]);
    const restores = {
      'good-back': restore(
        { policy: { name: 'good', latest: true, location: 's3' } },
        { credentials: { secretName: 'pg' } },
      ),
      'refused-back': restore({ backup: { name: 'good-now' } }, { ...at, credentials: { secretName: 'pg-wrong' } }),
    };
    for (const [name, spec] of Object.entries(restores)) {
      const [object] = loadObjects([{ name, text: document('RestoreRequest', name, { spec }) }], '/').objects;
      if (object === undefined) throw new Error(`no request of ${name}`);
      await operator.client.create(resources.restoreRequest, object.object, never);
    }
    const restored = await until(
      'all restores have ended',
      async () => {
        const { items } = await operator.client.list(resources.restoreRequest, {}, never);
        const ended = items.map(({ metadata, status }) => {
          const { conditions = [] } = (status ?? {}) as RestoreRequestStatus;
          const succeeded = conditions.find(({ type }) => type === 'Succeeded');
          return [metadata.name, succeeded?.status, succeeded?.reason];
        });
        return ended.every(([, status]) => status === 'True' || status === 'False') && ended;
      },
      60,
    );
    expect(restored.toSorted(([a], [b]) => String(a).localeCompare(String(b)))).toEqual([
      ['good-back', 'True', 'Restored'],
      ['refused-back', 'False', 'AuthenticationFailed'],
    ]);
    const types: readonly ResourceType[] = [...Object.values(resources), jobType, podType, eventType];
    for (const type of types.filter(({ kind }) => kind !== secretType.kind)) {
      const { items } = await operator.client.list(type, {}, never);
      expect(items.length, type.kind).toBeGreaterThan(0);
      texts.push(...items.map((item: KubeObject) => JSON.stringify(item)));
    }
    const pods = await operator.client.list(podType, {}, never);
    for (const { metadata } of pods.items) {
      texts.push(await operator.client.readLog('default', metadata.name ?? '', { container: 'runner' }, never));
    }
  } finally {
    await operator.stop();
    await log.close();
  }
  texts.push(await readFile(logFile, 'utf8'));
  const folders = [stateDir, directory.place.directory?.path ?? '', sftp.place.sftp?.path ?? ''];
  for (const folder of folders) {
    const files = (await listTree(folder)).filter((path) => !path.endsWith('/'));
    for (const file of files) texts.push(await readFile(file, 'latin1'));
  }
  expect(texts.length).toBeGreaterThan(30);

  const privateKeyLine = stand.sshd.privateKey.split('\n')[3] ?? '';
  expect(privateKeyLine.length).toBeGreaterThan(20);
  const planted = [server.password, login, wrong.password, encodeURIComponent(wrong.password), privateKeyLine];
  planted.push(stand.s3.secretAccessKey, wrong.secretAccessKey);
  for (const text of texts) {
    for (const hidden of planted) {
      expect(text.includes(hidden), `a secret stands in: ${text.slice(0, 300)}`).toBe(false);
      expect(text.includes(Buffer.from(hidden).toString('base64')), `a secret in base64: ${text.slice(0, 300)}`).toBe(
        false,
      );
    }
  }
});
