import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { retryStorage } from '../../src/storage/retry.ts';
import { openS3 } from '../../src/storage/s3.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { WholeBytes } from '../../src/storage/whole-bytes.ts';
import { type Clock, systemClock, systemRandom } from '../../src/support/clock.ts';
import { type S3Request, type ScriptedS3, startScriptedS3 } from '../servers/scripted-s3.ts';
import { digest, patternBody, readAll, readText, textBody } from '../suites/bodies.ts';

const MiB = 1024 * 1024;
const go = new AbortController().signal;
/** Back-off takes a hundredth of its time; the long waits, which are limits, stay as they are. */
const clock: Clock = {
  ...systemClock,
  sleep: (ms, signal) => systemClock.sleep(ms < 10_000 ? ms / 100 : ms, signal),
};
const tools = { clock, random: systemRandom };

let server: ScriptedS3;
let storage: Storage;

beforeEach(async () => {
  server = await startScriptedS3();
  storage = openS3(
    {
      bucket: 'bucket',
      endpoint: server.endpoint,
      forcePathStyle: true,
      credentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'very-secret' },
    },
    tools,
  );
});
afterEach(async () => {
  await storage.close();
  await server.stop();
});

const big = () => storage.put('big', patternBody(20 * MiB), {}, go);
const count = (what: S3Request['what']) => server.requests.filter((request) => request.what === what).length;
const only = (what: S3Request['what'], times = Infinity) => {
  return (request: S3Request) => request.what === what && request.index < times;
};

async function expectBigIsStored(): Promise<void> {
  expect(await digest(storage.get('big', undefined, go))).toBe(await digest(patternBody(20 * MiB)));
  expect(server.uploads.size).toBe(0);
}

function expectNothing(): void {
  expect([...server.objects.keys()]).toEqual([]);
  expect(server.uploads.size).toBe(0);
}

describe('an upload', () => {
  test.each(['begin', 'part', 'complete', 'head'] as const)('goes on after 503 on %s', async (what) => {
    const hit = only(what, 2);
    server.script = (request) => (hit(request) ? { status: 503, code: 'SlowDown' } : undefined);
    expect((await big()).bytes).toBe(20 * MiB);
    await expectBigIsStored();
  });

  test.each(['begin', 'part', 'complete', 'head'] as const)('goes on after a reset in %s', async (what) => {
    const hit = only(what, 2);
    server.script = (request) => (hit(request) ? 'reset' : undefined);
    expect((await big()).bytes).toBe(20 * MiB);
    await expectBigIsStored();
  });

  test('fails when completing answers 200 with an error inside, and leaves nothing', async () => {
    const body = '<?xml version="1.0"?><Error><Code>InternalError</Code><Message>We are sorry</Message></Error>';
    server.script = (request) => (request.what === 'complete' ? { body } : undefined);
    await expect(big()).rejects.toMatchObject({ reason: 'StorageFailed' });
    expectNothing();
  });

  test('fails when completing answers 200 with nothing inside, and leaves nothing', async () => {
    server.script = (request) => (request.what === 'complete' ? { body: '' } : undefined);
    await expect(big()).rejects.toMatchObject({ reason: 'StorageFailed' });
    expectNothing();
  });

  test('is found to be complete when the answer got lost', async () => {
    const hit = only('complete', 1);
    server.script = (request) => (hit(request) ? 'lose-answer' : undefined);
    expect((await big()).bytes).toBe(20 * MiB);
    await expectBigIsStored();
    expect(count('complete')).toBe(2);
  });

  test('does not take another object for its own when the answer got lost', async () => {
    await storage.put('big', patternBody(20 * MiB + 1), {}, go);
    server.script = ({ what }) => (what === 'complete' ? 'reset' : undefined);
    await expect(big()).rejects.toMatchObject({ reason: 'StorageUnreachable' });
    expect(server.objects.get('big')?.length).toBe(20 * MiB + 1);
    expect(server.uploads.size).toBe(0);
  });

  test.each([
    ['checksum', { 'x-amz-checksum-crc32': 'AAAAAA==' }],
    ['ETag', { etag: `"${'0'.repeat(32)}"`, 'x-amz-checksum-crc32': '' }],
  ])('fails with StoredBytesDiffer when the server acknowledges another %s', async (_, headers) => {
    server.script = ({ what, index }) => (what === 'part' && index === 1 ? { headers } : undefined);
    await expect(big()).rejects.toMatchObject({ reason: 'StoredBytesDiffer' });
    expectNothing();
    server.script = ({ what }) => (what === 'put' ? { headers } : undefined);
    await expect(storage.put('small', textBody('x'), {}, go)).rejects.toMatchObject({ reason: 'StoredBytesDiffer' });
    expectNothing();
  });

  test('does not take the ETag of an object under KMS for a hash', async () => {
    const headers = {
      etag: `"${'0'.repeat(32)}"`,
      'x-amz-checksum-crc32': '',
      'x-amz-server-side-encryption': 'aws:kms',
    };
    server.script = ({ what }) => (what === 'put' ? { headers } : undefined);
    expect((await storage.put('small', textBody('x'), {}, go)).bytes).toBe(1);
  });

  test('fails with StoredBytesDiffer when the place holds another size, and removes the object', async () => {
    server.script = ({ what }) => (what === 'head' ? { headers: { 'content-length': '7' } } : undefined);
    await expect(big()).rejects.toMatchObject({ reason: 'StoredBytesDiffer' });
    expectNothing();
    await expect(storage.put('small', textBody('x'), {}, go)).rejects.toMatchObject({ reason: 'StoredBytesDiffer' });
    expectNothing();
  });

  test('is removed even if that does not work at once', async () => {
    server.script = ({ what, index }) => {
      if (what === 'abort' && index < 2) return { status: 500, code: 'InternalError' };
      return what === 'part' && index > 1 ? { status: 403, code: 'AccessDenied' } : undefined;
    };
    await expect(big()).rejects.toMatchObject({ reason: 'StorageDenied' });
    expectNothing();
    expect(count('abort')).toBe(3);
  });

  test('is aborted again when the server kept it for the sake of a late part', async () => {
    server.script = ({ what, index }) => {
      if (what === 'abort' && index < 2) return { body: '' };
      return what === 'part' && index > 1 ? { status: 403, code: 'AccessDenied' } : undefined;
    };
    await expect(big()).rejects.toMatchObject({ reason: 'StorageDenied' });
    expectNothing();
    expect(count('abort')).toBe(3);
  });

  test('stops pulling a slow body as soon as a part has failed', async () => {
    server.script = ({ what }) => (what === 'part' ? { status: 403, code: 'AccessDenied' } : undefined);
    async function* stalling() {
      yield* patternBody(9 * MiB);
      await new Promise(() => undefined);
    }
    await expect(storage.put('big', stalling(), {}, go)).rejects.toMatchObject({ reason: 'StorageDenied' });
    expectNothing();
  });

  test('falls back to MD5 where checksums are not implemented', async () => {
    server.script = ({ what, headers }) => {
      const asked = headers['x-amz-checksum-algorithm'] ?? headers['x-amz-checksum-crc32'];
      return asked !== undefined && what !== 'head' ? { status: 501, code: 'NotImplemented' } : undefined;
    };
    await big();
    await expectBigIsStored();
    await storage.put('small', textBody('x'), {}, go);
    const sent = server.requests.filter(({ what }) => what === 'part' || what === 'put');
    expect(sent.every(({ headers }) => typeof headers['content-md5'] === 'string')).toBe(true);
  });

  test('looks before it stores where conditions are not implemented, and says so', async () => {
    server.script = ({ headers }) =>
      headers['if-none-match'] === undefined ? undefined : { status: 501, code: 'NotImplemented' };
    expect(storage.conditionalPut).toBe(true);
    await storage.put('small', textBody('x'), { onlyIfAbsent: true }, go);
    expect(storage.conditionalPut).toBe(false);
    const again = storage.put('small', textBody('y'), { onlyIfAbsent: true }, go);
    await expect(again).rejects.toMatchObject({ reason: 'AlreadyStored' });
    expect(server.objects.get('small')?.toString()).toBe('x');
  });

  test('meets its own object after a lost answer, and knows it', async () => {
    const hit = only('put', 1);
    server.script = (request) => {
      if (hit(request)) return 'lose-answer';
      return request.what === 'put' && server.objects.has(request.key)
        ? { status: 412, code: 'PreconditionFailed' }
        : undefined;
    };
    expect((await storage.put('a', textBody('stream'), { onlyIfAbsent: true }, go)).bytes).toBe(6);
    const retrying = retryStorage(storage, { attempts: 3, ...tools });
    const whole = new WholeBytes(Buffer.from('whole'));
    expect((await retrying.put('b', whole, { onlyIfAbsent: true }, go)).bytes).toBe(5);
    const other = retrying.put('b', new WholeBytes(Buffer.from('other')), { onlyIfAbsent: true }, go);
    await expect(other).rejects.toMatchObject({ reason: 'AlreadyStored' });
  });
});

describe('a download', () => {
  test('that breaks off is taken up at its last byte', async () => {
    await big();
    server.script = ({ what, index }) => (what === 'get' && index < 3 ? { cutAfter: 3 * MiB } : undefined);
    await expectBigIsStored();
    const ranges = server.requests.filter(({ what }) => what === 'get').map(({ headers }) => headers.range);
    expect(ranges).toHaveLength(4);
    expect(ranges[0]).toBeUndefined();
    expect(ranges.slice(1).every((range) => /^bytes=[1-9]\d+-20971519$/.test(range ?? ''))).toBe(true);
  });

  test('of a range that breaks off ends with the right bytes', async () => {
    await big();
    server.script = ({ what, index }) => (what === 'get' && index < 2 ? { cutAfter: 100_000 } : undefined);
    const whole = await readAll(patternBody(20 * MiB));
    const got = await readAll(storage.get('big', { start: 1000, end: 900_000 }, go));
    expect(got.equals(whole.subarray(1000, 900_001))).toBe(true);
  });

  test('that never comes further fails', async () => {
    await big();
    server.script = ({ what, index }) => (what === 'get' ? { cutAfter: index === 0 ? 1000 : 0 } : undefined);
    await expect(digest(storage.get('big', undefined, go))).rejects.toMatchObject({ reason: 'StorageUnreachable' });
  });

  test('fails when the object is replaced meanwhile', async () => {
    await storage.put('object', patternBody(4 * MiB), {}, go);
    server.script = ({ what, index }) => {
      if (what !== 'get' || index > 0) return undefined;
      setImmediate(() => server.objects.set('object', Buffer.alloc(4 * MiB)));
      return { cutAfter: 1000 };
    };
    await expect(digest(storage.get('object', undefined, go))).rejects.toMatchObject({ reason: 'StorageFailed' });
  });

  test('fails when the server does not understand ranges', async () => {
    await storage.put('object', textBody('0123456789'), {}, go);
    server.script = ({ what, headers }) => {
      if (what === 'get') delete headers.range;
      return undefined;
    };
    const part = readText(storage.get('object', { start: 3, end: 5 }, go));
    await expect(part).rejects.toMatchObject({ reason: 'StorageConfigInvalid' });
  });
});

describe('a listing', () => {
  const page = (inside: string) => `<ListBucketResult>${inside}</ListBucketResult>`;
  const entry = (key: string) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`;
  const listAll = async () => {
    const keys: string[] = [];
    for await (const { key } of storage.list('', undefined, go)) keys.push(key);
    return keys;
  };

  test.each([
    ['is cut without a way to go on', 'StorageFailed', page(`<IsTruncated>true</IsTruncated>${entry('a')}`)],
    [
      'comes in another order over several pages',
      'StorageConfigInvalid',
      page(`<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>${entry('b')}${entry('a')}`),
    ],
    [
      'gives the same page for ever',
      'StorageFailed',
      page(`<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>${entry('a')}`),
    ],
    ['has an entry without a size', 'StorageConfigInvalid', page('<Contents><Key>a</Key></Contents>')],
  ])('fails when it %s', async (_, reason, body) => {
    server.script = ({ what }) => (what === 'list' ? { body } : undefined);
    await expect(listAll()).rejects.toMatchObject({ reason });
  });

  test('of one page is put into order', async () => {
    server.script = ({ what }) => (what === 'list' ? { body: page(entry('b') + entry('Z') + entry('a')) } : undefined);
    expect(await listAll()).toEqual(['Z', 'a', 'b']);
  });

  test('reads keys that the server encodes', async () => {
    const body = page(`<EncodingType>url</EncodingType>${entry('a+b%2Bc/%C3%BC')}`);
    server.script = ({ what }) => (what === 'list' ? { body } : undefined);
    expect(await listAll()).toEqual(['a b+c/ü']);
  });
});

describe('an answer of the server', () => {
  test.each([
    [404, 'NoSuchBucket', 'StorageMissing'],
    [403, 'AccessDenied', 'StorageDenied'],
    [403, 'InvalidAccessKeyId', 'StorageCredentialsInvalid'],
    [403, 'SignatureDoesNotMatch', 'StorageCredentialsInvalid'],
    [400, 'ExpiredToken', 'StorageCredentialsInvalid'],
    [403, 'RequestTimeTooSkewed', 'StorageConfigInvalid'],
    [301, 'PermanentRedirect', 'StorageConfigInvalid'],
    [400, 'AuthorizationHeaderMalformed', 'StorageConfigInvalid'],
    [400, 'InvalidStorageClass', 'StorageConfigInvalid'],
    [507, 'Whatever', 'StorageFull'],
    [400, 'QuotaExceeded', 'StorageFull'],
    [500, 'InternalError', 'StorageFailed'],
  ])('%i %s becomes %s%s, without a secret in it', async (status, code, reason) => {
    server.script = () => ({ status, code });
    const failures = await Promise.allSettled([
      storage.put('a', textBody('x'), {}, go),
      storage.stat('a', go),
      storage.delete('a', go),
      readAll(storage.get('a', undefined, go)),
      big(),
    ]);
    for (const failure of failures) {
      expect(failure).toMatchObject({ status: 'rejected', reason: { reason } });
      const told = JSON.stringify(failure, (_, value: unknown) =>
        value instanceof Error ? Object.fromEntries(everyMember(value)) : value,
      );
      expect(told).not.toMatch(/very-secret|Signature=|Credential=/);
    }
  });

  test('that is no S3 at all is StorageConfigInvalid', async () => {
    server.script = () => ({ body: '<!doctype html><html><body>It works!</body></html>' });
    await expect(storage.put('a', patternBody(9 * MiB), {}, go)).rejects.toMatchObject({
      reason: 'StorageConfigInvalid',
    });
  });

  test('that does not come in time is StorageUnreachable', async () => {
    const silent = openS3(
      {
        bucket: 'bucket',
        endpoint: server.endpoint,
        forcePathStyle: true,
        credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
        idleTimeoutMs: 200,
      },
      tools,
    );
    server.script = ({ response }) => {
      response.end = () => response;
      response.write = () => true;
      return undefined;
    };
    await expect(silent.stat('a', go)).rejects.toMatchObject({ reason: 'StorageUnreachable' });
    await silent.close();
  });

  test('of nobody is StorageUnreachable', async () => {
    await server.stop();
    await expect(storage.stat('a', go)).rejects.toMatchObject({ reason: 'StorageUnreachable' });
    await expect(big()).rejects.toMatchObject({ reason: 'StorageUnreachable' });
    const elsewhere = openS3(
      {
        bucket: 'bucket',
        endpoint: 'http://no-such-host.invalid',
        forcePathStyle: true,
        credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
      },
      tools,
    );
    await expect(elsewhere.stat('a', go)).rejects.toMatchObject({ reason: 'StorageUnreachable' });
    await elsewhere.close();
  });
});

/** Members of an error that a logger could print. */
function everyMember(error: Error): [string, unknown][] {
  return Object.getOwnPropertyNames(error).map((name) => [name, Reflect.get(error, name)]);
}
