import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { digest, patternBody, textBody } from '../suites/bodies.ts';
import type { S3Request } from '../servers/scripted-s3.ts';
import { go, MiB, useScriptedS3 } from './s3-stand.ts';

const stand = useScriptedS3();

const hasSum = ({ headers }: S3Request) =>
  headers['x-amz-checksum-crc32'] !== undefined || headers['x-amz-checksum-algorithm'] !== undefined;
const hasMd5 = ({ headers }: S3Request) => headers['content-md5'] !== undefined;
const hasCondition = ({ headers }: S3Request) => headers['if-none-match'] !== undefined;
const sent = (what: S3Request['what']) => stand.server.requests.filter((request) => request.what === what);
const forget = () => (stand.server.requests as S3Request[]).splice(0);

async function expectBig(): Promise<void> {
  expect(await digest(stand.storage.get('big', undefined, go))).toBe(await digest(patternBody(20 * MiB)));
  expect(stand.server.uploads.size).toBe(0);
}

describe.each([
  [400, 'InvalidArgument'],
  [400, 'SomethingOfTheirOwn'],
  [400, ''],
  [417, 'ExpectationFailed'],
  [501, 'NotImplemented'],
  [405, 'MethodNotAllowed'],
  [501, 'A header you provided implies functionality that is not implemented'],
])('a server that answers %i "%s"', (status, code) => {
  const refuse = { status, code };

  test('to the checksum of parts gets their MD5, and is not asked again', async () => {
    stand.server.script = (request) => (request.what === 'part' && hasSum(request) ? refuse : undefined);
    expect((await stand.putBig()).proven).toBe(true);
    await expectBig();
    forget();
    await stand.putBig();
    await expectBig();
    expect(sent('begin').some(hasSum)).toBe(false);
    expect(sent('part')).toHaveLength(3);
    expect(sent('part').every(hasMd5)).toBe(true);
  });

  test('to every check gets the plain bytes, and its own tag still proves them', async () => {
    stand.server.script = (request) => (hasSum(request) || hasMd5(request) ? refuse : undefined);
    expect((await stand.putBig()).proven).toBe(true);
    await expectBig();
    expect((await stand.storage.put('small', textBody('x'), {}, go)).proven).toBe(true);
    expect(sent('put')).toHaveLength(1);
  });

  test('to a condition is looked at before instead, and keeps its checksums', async () => {
    stand.server.script = (request) => (hasCondition(request) ? refuse : undefined);
    await stand.storage.put('small', textBody('x'), { onlyIfAbsent: true }, go);
    expect(stand.storage.conditionalPut).toBe(false);
    expect(sent('put').every(hasSum)).toBe(true);
    await stand.storage.put('big', patternBody(20 * MiB), { onlyIfAbsent: true }, go);
    await expectBig();
    expect(sent('complete').some(hasCondition)).toBe(false);
    expect(sent('part').every(hasSum)).toBe(true);
    const again = stand.storage.put('small', textBody('y'), { onlyIfAbsent: true }, go);
    await expect(again).rejects.toMatchObject({ reason: 'AlreadyStored' });
    expect(stand.server.objects.get('small')?.toString()).toBe('x');
  });

  test('to both gets neither', async () => {
    stand.server.script = (request) => (hasCondition(request) || hasSum(request) ? refuse : undefined);
    await stand.storage.put('small', textBody('x'), { onlyIfAbsent: true }, go);
    expect(stand.server.objects.get('small')?.toString()).toBe('x');
    expect(stand.storage.conditionalPut).toBe(false);
  });

  test('to the checksums in a completion gets it without', async () => {
    stand.server.script = ({ what, body }) => {
      return what === 'complete' && body().includes('ChecksumCRC32') ? refuse : undefined;
    };
    await stand.putBig();
    await expectBig();
    await stand.putBig();
    expect(stand.count('complete')).toBe(3);
    expect(sent('part').every(hasSum)).toBe(true);
  });

  test('to the question for a checksum is asked for the rest', async () => {
    stand.server.script = ({ what, headers }) =>
      what === 'head' && headers['x-amz-checksum-mode'] !== undefined ? refuse : undefined;
    expect((await stand.storage.put('small', textBody('x'), {}, go)).bytes).toBe(1);
  });

  test('to everything fails, once each way, and leaves nothing', async () => {
    stand.server.script = ({ what }) => (what === 'put' || what === 'part' ? refuse : undefined);
    const reason = status === 405 ? 'StorageDenied' : 'StorageConfigInvalid';
    await expect(stand.putBig()).rejects.toMatchObject({ reason });
    const small = stand.storage.put('small', textBody('x'), { onlyIfAbsent: true }, go);
    await expect(small).rejects.toMatchObject({ reason });
    expect(stand.count('put')).toBeLessThanOrEqual(6);
    expect(stand.server.uploads.size + stand.server.objects.size).toBe(0);
  });
});

describe('what is no refusal of an option', () => {
  test.each([
    [400, 'BadDigest', 'StoredBytesDiffer'],
    [400, 'InvalidDigest', 'StoredBytesDiffer'],
    [400, 'XAmzContentChecksumMismatch', 'StoredBytesDiffer'],
    [400, 'ExpiredToken', 'StorageCredentialsInvalid'],
    [400, 'QuotaExceeded', 'StorageFull'],
    [403, 'AccessDenied', 'StorageDenied'],
    [413, 'EntityTooLarge', 'StorageConfigInvalid'],
  ])('%i %s fails as %s with its checksum, and weakens nothing', async (status, code, reason) => {
    stand.server.script = ({ what }) => (what === 'put' || what === 'part' ? { status, code } : undefined);
    await expect(stand.storage.put('a', textBody('x'), {}, go)).rejects.toMatchObject({ reason });
    await expect(stand.putBig()).rejects.toMatchObject({ reason });
    expect([...sent('put'), ...sent('part')].every(hasSum)).toBe(true);
    stand.server.script = () => undefined;
    forget();
    await stand.storage.put('a', textBody('x'), { onlyIfAbsent: true }, go);
    expect(sent('put').every((request) => hasSum(request) && hasCondition(request))).toBe(true);
  });

  test('412 is another object only if there is one', async () => {
    stand.server.script = (request) =>
      request.what === 'put' && hasCondition(request) ? { status: 412, code: 'PreconditionFailed' } : undefined;
    await stand.storage.put('a', textBody('x'), { onlyIfAbsent: true }, go);
    expect(stand.server.objects.get('a')?.toString()).toBe('x');
    expect(stand.storage.conditionalPut).toBe(false);
    stand.server.script = ({ what }) => (what === 'put' ? { status: 412, code: 'PreconditionFailed' } : undefined);
    await expect(stand.storage.put('b', textBody('x'), {}, go)).rejects.toMatchObject({
      reason: 'StorageConfigInvalid',
    });
  });

  test('412 to a completion tells of the object that came before', async () => {
    stand.server.script = ({ what }) => {
      if (what !== 'complete') return undefined;
      stand.server.objects.set('big', Buffer.from('of another'));
      return { status: 412, code: 'PreconditionFailed' };
    };
    const put = stand.storage.put('big', patternBody(20 * MiB), { onlyIfAbsent: true }, go);
    await expect(put).rejects.toMatchObject({ reason: 'AlreadyStored' });
    expect(stand.server.objects.get('big')?.toString()).toBe('of another');
    expect(stand.server.uploads.size).toBe(0);
    expect(stand.storage.conditionalPut).toBe(true);
  });

  test('a bit that is flipped on the way is found with the MD5 that a server gets instead', async () => {
    let lies = false;
    stand.server.script = (request) => {
      if (hasSum(request) && request.what !== 'head') return { status: 501, code: 'NotImplemented' };
      return request.what === 'part' && lies ? { headers: { etag: `"${'1'.repeat(32)}"` } } : undefined;
    };
    await stand.putBig();
    lies = true;
    await expect(stand.putBig()).rejects.toMatchObject({ reason: 'StoredBytesDiffer' });
  });
});

describe('a put is proven', () => {
  const md5 = (text: string) => createHash('md5').update(text).digest('hex');

  test('by the sum that the server tells of the object afterwards, and refuted by another', async () => {
    const none = { etag: '"opaque-1"' };
    const withSum = (sum: string) => (request: S3Request) => {
      if (request.what === 'put' || request.what === 'part') return { headers: none };
      return request.what === 'head' ? { headers: { ...none, 'x-amz-checksum-crc32': sum } } : undefined;
    };
    stand.server.script = withSum('jNxvCA==');
    await expect(stand.storage.put('a', textBody('x'), {}, go)).rejects.toMatchObject({ reason: 'StoredBytesDiffer' });
    // CRC32 of "x".
    stand.server.script = withSum('jNwWgw==');
    expect((await stand.storage.put('a', textBody('x'), {}, go)).proven).toBe(true);
    stand.server.script = () => ({ headers: none });
    expect((await stand.storage.put('a', textBody('x'), {}, go)).proven).toBeUndefined();
  });

  test('not by the echo of what was sent with each part', async () => {
    stand.server.script = ({ what, key }) => {
      if (what === 'part') return { headers: { etag: '"1-1"' } };
      return what === 'head' && stand.server.objects.has(key) ? { headers: { etag: '"1-1"' } } : undefined;
    };
    expect((await stand.putBig()).proven).toBeUndefined();
  });

  test('not where other bytes lie under the same size by the tag of the server', async () => {
    stand.server.script = ({ what, key }) => {
      if (what !== 'head') return undefined;
      return stand.server.objects.has(key) ? { headers: { etag: `"${md5('y')}"` } } : undefined;
    };
    await expect(stand.storage.put('a', textBody('x'), {}, go)).rejects.toMatchObject({ reason: 'StoredBytesDiffer' });
  });
});
