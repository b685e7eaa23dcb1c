import type { ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import type { S3Request } from '../servers/scripted-s3.ts';
import { digest, patternBody, readAll, readText, textBody } from '../suites/bodies.ts';
import { go, MiB, useScriptedS3 } from './s3-stand.ts';

const stand = useScriptedS3();

const bare =
  (status: number, headers: Readonly<Record<string, string>> = {}) =>
  (response: ServerResponse) =>
    void response.writeHead(status, headers).end();

const listAll = async (prefix = '', after?: string) => {
  const keys: string[] = [];
  for await (const { key } of stand.storage.list(prefix, after, go)) keys.push(key);
  return keys;
};

describe('a refusal without a body', () => {
  test('of what is not there is ObjectMissing, and nothing to delete', async () => {
    stand.server.script = ({ what, key }) =>
      (what === 'get' || what === 'delete') && !stand.server.objects.has(key) ? { raw: bare(404) } : undefined;
    await stand.storage.put('there', textBody('x'), {}, go);
    await expect(readAll(stand.storage.get('absent', undefined, go))).rejects.toMatchObject({
      reason: 'ObjectMissing',
    });
    await stand.storage.delete('absent', go);
    expect(await readText(stand.storage.get('there', undefined, go))).toBe('x');
  });

  test('of what is listed is no missing object', async () => {
    await stand.storage.put('there', textBody('x'), {}, go);
    stand.server.script = ({ what }) => (what === 'get' || what === 'delete' ? { raw: bare(404) } : undefined);
    await expect(readAll(stand.storage.get('there', undefined, go))).rejects.toMatchObject({
      reason: 'StorageConfigInvalid',
    });
    await expect(stand.storage.delete('there', go)).rejects.toMatchObject({ reason: 'StorageConfigInvalid' });
  });

  test('of a whole endpoint that is elsewhere is no missing object', async () => {
    stand.server.script = () => ({ raw: bare(404) });
    await expect(readAll(stand.storage.get('absent', undefined, go))).rejects.toMatchObject({
      reason: 'StorageConfigInvalid',
    });
    await expect(stand.storage.delete('absent', go)).rejects.toMatchObject({ reason: 'StorageConfigInvalid' });
  });

  test('of an upload that is gone counts as its removal', async () => {
    stand.server.script = ({ what }) => (what === 'abort' || what === 'parts' ? { raw: bare(404) } : undefined);
    await stand.storage.removeUnfinished({ key: 'a', uploadId: 'gone', sinceMs: 0 }, go);
  });

  test.each([
    [400, 'StorageConfigInvalid'],
    [403, 'StorageDenied'],
    [500, 'StorageFailed'],
    [507, 'StorageFull'],
  ])('of status %i is %s', async (status, reason) => {
    stand.server.script = ({ what }) => (what === 'put' ? { raw: bare(status) } : undefined);
    await expect(stand.storage.put('a', textBody('x'), {}, go)).rejects.toMatchObject({ reason });
  });
});

describe('HEAD that is answered with 403', () => {
  const hides = ({ what, key }: S3Request) =>
    what === 'head' && !stand.server.objects.has(key) ? { raw: bare(403) } : undefined;

  test('where nothing is, and the listing shows nothing, means that nothing is there', async () => {
    stand.server.script = hides;
    expect(await stand.storage.stat('a', go)).toBeUndefined();
    await stand.storage.put('ab', textBody('longer name'), {}, go);
    expect(await stand.storage.stat('a', go)).toBeUndefined();
    await stand.storage.put('a', textBody('x'), { onlyIfAbsent: true }, go);
    await expect(stand.storage.put('a', textBody('y'), { onlyIfAbsent: true }, go)).rejects.toMatchObject({
      reason: 'AlreadyStored',
    });
  });

  test('where an object is listed is StorageDenied', async () => {
    stand.server.objects.set('a', Buffer.from('x'));
    stand.server.script = ({ what }) => (what === 'head' ? { raw: bare(403) } : undefined);
    await expect(stand.storage.stat('a', go)).rejects.toMatchObject({ reason: 'StorageDenied' });
  });

  test('is StorageDenied where nobody may list either', async () => {
    stand.server.script = ({ what }) =>
      what === 'head' || what === 'list' ? { status: 403, code: 'AccessDenied' } : undefined;
    await expect(stand.storage.stat('a', go)).rejects.toMatchObject({ reason: 'StorageDenied' });
  });
});

describe('an error inside of an answer of 200', () => {
  const inside = (code: string) => ({ body: `<?xml version="1.0"?>\n\n  <Error><Code>${code}</Code></Error>` });

  test.each(['NotImplemented', 'InvalidArgument', 'InvalidRequest', 'MalformedXML'])(
    'that is %s to the checksums of a completion gets it without',
    async (code) => {
      stand.server.script = ({ what, body }) =>
        what === 'complete' && body().includes('ChecksumCRC32') ? inside(code) : undefined;
      await stand.putBig();
      expect(await digest(stand.storage.get('big', undefined, go))).toBe(await digest(patternBody(20 * MiB)));
      expect(stand.count('complete')).toBe(2);
    },
  );

  test('that is PreconditionFailed tells of the object that came before', async () => {
    stand.server.script = ({ what, headers, key }) => {
      if (what !== 'complete' || headers['if-none-match'] === undefined) return undefined;
      stand.server.objects.set(key, Buffer.from('another'));
      return inside('PreconditionFailed');
    };
    const put = stand.storage.put('big', patternBody(20 * MiB), { onlyIfAbsent: true }, go);
    await expect(put).rejects.toMatchObject({ reason: 'AlreadyStored' });
    expect(stand.server.objects.get('big')?.toString()).toBe('another');
    expect(stand.server.uploads.size).toBe(0);
  });

  test.each([
    ['AccessDenied', 'StorageDenied'],
    ['SlowDown', 'StorageThrottled'],
    ['InternalError', 'StorageFailed'],
    ['QuotaExceeded', 'StorageFull'],
  ])('that is %s to a completion is %s, and nothing is left', async (code, reason) => {
    stand.server.script = ({ what }) => (what === 'complete' ? inside(code) : undefined);
    await expect(stand.putBig()).rejects.toMatchObject({ reason });
    expect(stand.server.uploads.size + stand.server.objects.size).toBe(0);
  });
});

describe('a store that is full', () => {
  const say =
    (status: number, code: string, message: string) =>
    (response: ServerResponse): void =>
      void response.writeHead(status).end(`<Error><Code>${code}</Code><Message>${message}</Message></Error>`);

  test.each([
    [507, 'InsufficientStorage', 'the disk is full'],
    [403, 'AccessDenied', 'Cannot upload files, storage cap exceeded. See the Caps page'],
    [403, 'QuotaExceeded', 'Quota exceeded'],
    [403, 'BucketQuotaExceeded', 'over'],
    [400, 'StorageQuotaExceeded', 'over'],
    [409, 'QuotaExceeded', 'bucket quota'],
    [413, 'QuotaExceeded', 'too much'],
    [413, 'EntityTooLarge', 'the quota of the bucket is exceeded'],
    [500, 'InternalError', 'write /data/x: no space left on device'],
    [500, 'InternalError', 'write /data/x: disk quota exceeded'],
    [503, 'XMinioStorageFull', 'Storage backend has reached its minimum free drive threshold'],
  ])('and answers %i %s "%s" is StorageFull', async (status, code, message) => {
    stand.server.script = ({ what }) =>
      what === 'put' || what === 'part' ? { raw: say(status, code, message) } : undefined;
    await expect(stand.storage.put('a', textBody('x'), {}, go)).rejects.toMatchObject({ reason: 'StorageFull' });
    await expect(stand.putBig()).rejects.toMatchObject({ reason: 'StorageFull' });
    expect(stand.server.uploads.size).toBe(0);
  });

  test.each([
    [429, 'TooManyRequests', 'request quota exceeded'],
    [503, 'SlowDown', 'the rate exceeds your quota'],
  ])('is none that answers %i %s "%s"', async (status, code, message) => {
    stand.server.script = ({ what }) => (what === 'put' ? { raw: say(status, code, message) } : undefined);
    await expect(stand.storage.put('a', textBody('x'), {}, go)).rejects.toMatchObject({ reason: 'StorageThrottled' });
  });
});

describe('a redirect', () => {
  test.each([301, 302, 307, 308])('(%i) to another address is told with it, and not followed', async (status) => {
    stand.server.script = () => ({ raw: bare(status, { location: 'https://s3.example.com/bucket/a?X-Amz=secret' }) });
    const failure = await stand.storage.put('a', textBody('x'), {}, go).catch((error: unknown) => error);
    expect(failure).toMatchObject({ reason: 'StorageConfigInvalid' });
    expect(failure).toHaveProperty('hint', expect.stringContaining('https://s3.example.com'));
    expect(JSON.stringify(failure)).not.toContain('secret');
  });

  test.each([301, 307, 400])('(%i) to another region names it', async (status) => {
    const with_ = { 'x-amz-bucket-region': 'eu-west-3', location: 'https://bucket.s3.eu-west-3.example.com/a' };
    stand.server.script = () => ({ status, code: 'TemporaryRedirect', with: with_ });
    await expect(stand.storage.put('a', textBody('x'), {}, go)).rejects.toMatchObject({
      reason: 'StorageConfigInvalid',
      hint: 'set s3.region to eu-west-3',
    });
  });
});

describe('an endpoint', () => {
  test('with https at a port that does not speak TLS says to write http', async () => {
    const storage = stand.open({ endpoint: stand.server.endpoint.replace('http:', 'https:') });
    await expect(storage.stat('a', go)).rejects.toMatchObject({
      reason: 'TlsFailed',
      hint: expect.stringContaining('write http://') as unknown,
    });
  });

  test('without the bucket names the bucket', async () => {
    stand.server.script = () => ({ status: 404, code: 'NoSuchBucket' });
    await expect(stand.storage.put('a', textBody('x'), {}, go)).rejects.toMatchObject({
      reason: 'StorageMissing',
      hint: expect.stringContaining('create the bucket bucket, or') as unknown,
    });
  });
});

describe('a server that lists as version 1 does', () => {
  /** Knows `marker`, and nothing of version 2. */
  const versionOne = (pageSize: number) => (request: S3Request) => {
    if (request.what !== 'list') return undefined;
    const { query } = request;
    const marker = query.get('marker') ?? '';
    const all = [...stand.server.objects.keys()]
      .filter((key) => key.startsWith(query.get('prefix') ?? '') && key > marker)
      .sort();
    const page = all.slice(0, Math.min(pageSize, Number(query.get('max-keys') ?? pageSize)));
    const entries = page.map((key) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`).join('');
    const more = all.length > page.length;
    return { body: `<ListBucketResult><IsTruncated>${more}</IsTruncated>${entries}</ListBucketResult>` };
  };
  const keys = Array.from({ length: 25 }, (_, index) => `k${String(index).padStart(2, '0')}`);

  test('is asked as version 1 is, and nothing is left out', async () => {
    for (const key of keys) stand.server.objects.set(key, Buffer.from('x'));
    stand.server.script = versionOne(10);
    expect(await listAll()).toEqual(keys);
    expect(await listAll('k1')).toEqual(keys.slice(10, 20));
    expect(await listAll('', 'k21')).toEqual(keys.slice(22));
  });

  test('and refuses version 2 is asked so, too', async () => {
    for (const key of keys) stand.server.objects.set(key, Buffer.from('x'));
    const answer = versionOne(10);
    stand.server.script = (request) =>
      request.query.has('list-type') ? { status: 501, code: 'NotImplemented' } : answer(request);
    expect(await listAll()).toEqual(keys);
    await stand.storage.put('new', textBody('x'), {}, go);
    expect(await stand.storage.stat('absent', go)).toBeUndefined();
  });
});
