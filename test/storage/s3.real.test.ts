import { join } from 'node:path';
import {
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openS3 } from '../../src/storage/s3.ts';
import type { S3Options } from '../../src/storage/s3-options.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { type Authority, makeAuthority } from '../servers/certificates.ts';
import { type S3Server, startS3 } from '../servers/s3.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { digest, patternBody, readText, textBody } from '../suites/bodies.ts';
import { storageConformance } from '../suites/storage-conformance.ts';

const tools = { clock: systemClock, random: systemRandom };
const go = new AbortController().signal;
const versitygw = process.env['VERSITYGW'];

function optionsFor(server: S3Server, bucket: string): S3Options {
  const { endpoint, accessKeyId, secretAccessKey } = server;
  return { bucket, endpoint, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } };
}

storageConformance(versitygw === undefined ? 'fauxqs' : 'versitygw', async () => {
  const folder = await makeTemporaryFolder();
  const server = await startS3({ dir: join(folder.path, 'server'), versitygw });
  await server.createBucket('backups');
  const options = optionsFor(server, 'backups');
  // The eye from outside: the SDK as it comes, and not the driver.
  const client = new S3Client({ ...options, region: 'us-east-1' });
  return {
    open: () => openS3(options, tools),
    openMissing: () => openS3({ ...options, bucket: 'absent-bucket' }, tools),
    openRefused: () => openS3({ ...options, credentials: { accessKeyId: 'nobody', secretAccessKey: 'wrong' } }, tools),
    lookFromOutside: () => listBucket(client),
    skips:
      server.kind === 'versitygw'
        ? {}
        : {
            credentials: 'fauxqs does not check credentials',
            conditions: 'fauxqs does not know conditional puts',
            unfinished: 'fauxqs does not list uploads',
            memory: 'fauxqs runs in this process',
            order: 'fauxqs goes on after a key in the order of a language, not of bytes',
          },
    stop: async () => {
      client.destroy();
      await server.stop();
      await folder.remove();
    },
  };
});

async function listBucket(client: S3Client): Promise<readonly string[]> {
  const found: string[] = [];
  let token: string | undefined;
  do {
    const page = await client.send(new ListObjectsV2Command({ Bucket: 'backups', ContinuationToken: token }));
    found.push(...(page.Contents ?? []).map(({ Key }) => `/${Key}`));
    token = page.NextContinuationToken;
  } while (token !== undefined);
  const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: 'backups' }));
  for (const { Key, UploadId } of Uploads ?? []) {
    found.push(`/${Key} (unfinished)`);
    await client.send(new AbortMultipartUploadCommand({ Bucket: 'backups', Key, UploadId }));
  }
  return found;
}

describe('the certificate of an S3 endpoint', () => {
  let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
  let authority: Authority;
  const servers: S3Server[] = [];

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    authority = await makeAuthority(join(folder.path, 'authority'));
  });
  afterAll(async () => {
    for (const server of servers) await server.stop();
    await folder.remove();
  });

  async function startTls(name: string, host: string, expired = false): Promise<S3Server> {
    const tls = await authority.issue({ host, expired });
    const server = await startS3({ dir: join(folder.path, name), versitygw, tls });
    servers.push(server);
    await server.createBucket('backups');
    return server;
  }

  const needsTls = 'fauxqs has no TLS; VERSITYGW is not set';

  test('is accepted when the given authority issued it for the host', async ({ skip }) => {
    skip(versitygw === undefined, needsTls);
    const server = await startTls('right', '127.0.0.1');
    const storage = openS3({ ...optionsFor(server, 'backups'), ca: authority.ca }, tools);
    await storage.put('a/b', textBody('over TLS'), {}, go);
    expect(await readText(storage.get('a/b', undefined, go))).toBe('over TLS');
    await storage.close();
  });

  test('holds for a bucket with dots in its name, which no wildcard covers: it stands in the path', async ({
    skip,
  }) => {
    skip(versitygw === undefined, needsTls);
    const server = await startTls('dots', 'localhost');
    const bucket = 'backups.of.shop-1.example';
    await server.createBucket(bucket);
    const { forcePathStyle: _, ...options } = optionsFor(server, bucket);
    const endpoint = server.endpoint.replace('127.0.0.1', 'localhost');
    const storage = openS3({ ...options, endpoint, ca: authority.ca }, tools);
    const stored = await storage.put('a/b', patternBody(20 * 1024 * 1024), {}, go);
    expect(stored).toMatchObject({ bytes: 20 * 1024 * 1024, proven: true });
    await storage.put('a/c', textBody('small'), { onlyIfAbsent: true }, go);
    await expect(storage.put('a/c', textBody('again'), { onlyIfAbsent: true }, go)).rejects.toMatchObject({
      reason: 'AlreadyStored',
    });
    expect(await digest(storage.get('a/b', undefined, go))).toBe(await digest(patternBody(20 * 1024 * 1024)));
    const keys: string[] = [];
    for await (const { key } of storage.list('a/', undefined, go)) keys.push(key);
    for await (const { key } of storage.listUnfinished('', go)) keys.push(`${key} (unfinished)`);
    expect(keys).toEqual(['a/b', 'a/c']);
    await storage.delete('a/b', go);
    expect(await storage.stat('a/b', go)).toBeUndefined();
    await storage.close();
  });

  test.for([
    ['another authority issued it', '127.0.0.1', false, 'other'],
    ['no authority is given and it is not publicly known', '127.0.0.1', false, 'none'],
    ['it is for another host', 'elsewhere.example', false, 'same'],
    ['it has expired', '127.0.0.1', true, 'same'],
  ] as const)('is refused with TlsFailed when %s', async ([why, host, expired, who], { skip }) => {
    skip(versitygw === undefined, needsTls);
    const server = await startTls(why.replaceAll(' ', '-'), host, expired);
    const other = await makeAuthority(join(folder.path, `other-${why}`), 'another authority');
    const cas: Record<string, { ca?: string }> = { other: { ca: other.ca }, same: { ca: authority.ca }, none: {} };
    const storage = openS3({ ...optionsFor(server, 'backups'), ...cas[who] }, tools);
    const refused = { reason: 'TlsFailed' };
    await expect(storage.stat('a/b', go)).rejects.toMatchObject(refused);
    await expect(storage.put('a/b', textBody('x'), {}, go)).rejects.toMatchObject(refused);
    await storage.close();
  });
});
