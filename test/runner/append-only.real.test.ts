import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DeleteObjectCommand, PutBucketPolicyCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { manifestKey } from '../../src/domain/layout.ts';
import type { InspectTask, TaskLocation } from '../../src/domain/task.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { startS3, type S3Server } from '../servers/s3.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { readPolicy } from './read-policy.ts';
import { backupTaskOf, pgSecret, podUids, runWith, s3Location } from './run-with.ts';
import { openPlace, required } from './stand.ts';

// The policy of docs/locations.md for a key that cannot delete, at a server that obeys policies: the whole of a backup and its inspection.
const versitygw = process.env['VERSITYGW'];
const binDir = (await listBinDirs(process.env['POSTGRES_BINDIRS'])).at(-1) ?? '';
const user = { accessKeyId: 'append-key', secretAccessKey: 'append-secret' };
const secrets = { s3: user };
const backup = 'nightly-20260101t030000z';
const go = new AbortController().signal;

let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
let server: Postgres;
let s3: S3Server | undefined;
let root: S3Client;
beforeAll(async () => {
  if (versitygw === undefined) return;
  folder = await makeTemporaryFolder();
  // Servers that refuse root run as another user below it.
  await chmod(folder.path, 0o755);
  s3 = await startS3({ dir: join(folder.path, 's3'), versitygw, full: true });
  const { endpoint, accessKeyId, secretAccessKey } = s3;
  const credentials = { accessKeyId, secretAccessKey };
  root = new S3Client({ endpoint, credentials, forcePathStyle: true, region: 'us-east-1' });
  await s3.addUser(user);
  server = await startPostgres({ binDir, dir: join(folder.path, 'pg') });
  await server.sql('CREATE TABLE t AS SELECT i, md5(i::text) AS m FROM generate_series(1, 5000) i');
});
afterAll(async () => {
  root?.destroy();
  await server?.stop();
  await s3?.stop();
  await folder?.remove();
});

/** A new bucket in which the user may do what the page says, and nothing else. */
async function makeBucket(bucket: string, versions: boolean): Promise<TaskLocation> {
  if (s3 === undefined) throw new Error('no server');
  await s3.createBucket(bucket);
  if (versions) {
    const VersioningConfiguration = { Status: 'Enabled' } as const;
    await root.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }));
  }
  const page = await readFile(join(import.meta.dirname, '../../docs/locations.md'), 'utf8');
  const Policy = readPolicy(page, 'Keys that cannot delete', {
    bucket,
    prefix: 'some/prefix',
    principal: user.accessKeyId,
  });
  await root.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
  return s3Location('cloud', s3, bucket);
}

async function inspect(location: TaskLocation, fullPart: boolean, podUid: string) {
  const task: InspectTask = {
    version: 1,
    kind: 'inspect',
    namespace: 'shop',
    location,
    accessMode: 'AppendOnly',
    inspector: '5eed5eed',
    probe: true,
    fullPart,
    pageSize: 1000,
    remains: { deadlines: {}, running: [], remove: ['nightly/killed'] },
    waitForSecretSeconds: 1,
  };
  const { verdict } = await runWith(folder.path, task, secrets, [], { podUid });
  expect(verdict.message).toBeUndefined();
  return verdict;
}

async function listKeys(location: TaskLocation): Promise<readonly string[]> {
  const storage = await openPlace(location, secrets);
  const keys: string[] = [];
  for await (const { key } of storage.list('', undefined, go)) keys.push(key);
  await storage.close();
  return keys;
}

test.for([
  ['bucket', 'Replaced'],
  ['bucket with versions', 'Versioned'],
] as const)(
  'in a %s a key with the policy of the page stores backups, and is told %s',
  async ([kind, overwrites], { skip }) => {
    skip(s3 === undefined, 'VERSITYGW is not set: a server with users and policies is needed');
    const location = await makeBucket(kind.replaceAll(' ', '-'), overwrites === 'Versioned');
    // It is the policy that gives the rights, and this one is not among them.
    const { s3: place } = location.place;
    const thief = new S3Client({
      endpoint: s3?.endpoint ?? '',
      forcePathStyle: true,
      credentials: { ...user },
      region: 'us-east-1',
    });
    const where = { Bucket: place?.bucket, Key: 'some/prefix/shop/any' };
    await expect(thief.send(new DeleteObjectCommand(where))).rejects.toMatchObject({ name: 'AccessDenied' });
    thief.destroy();

    const looked = await inspect(location, true, podUids.first);
    expect(looked).toMatchObject({
      verdict: 'Succeeded',
      fullPart: true,
      offers: { conditions: 'Kept', deletes: 'Refused', overwrites, unfinishedUploads: 0 },
      remains: { objects: 0, unfinishedUploads: 0 },
    });
    const probes = await listKeys(location);

    const destinations = required({ ...location, appendOnly: true });
    const task = backupTaskOf(server, { destinations });
    const ended = await runWith(folder.path, task, { ...secrets, ...pgSecret(server) }, [binDir]);
    expect(ended).toMatchObject({ code: 0, verdict: { verdict: 'Succeeded' } });

    // A run that fails can delete nothing either, and says what stays.
    const failing = {
      ...task,
      backup: { name: 'killed', uid: 'other-uid' },
      databases: { names: ['postgres', 'gone'] },
    };
    const broken = await runWith(folder.path, failing, { ...secrets, ...pgSecret(server) }, [binDir]);
    expect(broken.verdict.verdict).toBe('PartlyFailed');

    const again = await inspect(location, false, podUids.second);
    expect(again).toMatchObject({ verdict: 'Succeeded', backups: 2, remains: { objects: 0, removedObjects: 0 } });
    const keys = await listKeys(location);
    expect(keys).toContain(manifestKey('shop', 'nightly', backup));
    expect(keys.filter((key) => key.startsWith('.pgbackup-probe'))).toEqual(probes);
  },
);
