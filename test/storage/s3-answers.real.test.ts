import type { ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { patternBody, readText, textBody } from '../suites/bodies.ts';
import { go, MiB, useScriptedS3 } from './s3-stand.ts';

const stand = useScriptedS3();

const page = '<html>\r\n<head><title>413 Request Entity Too Large</title></head><body>nginx</body></html>';
const xml =
  (text: string, status = 400) =>
  (response: ServerResponse) => {
    response.writeHead(status, { 'content-type': 'application/xml' }).end(text);
  };
/** Writes until the client goes, and tells how much it took. */
function endless(status: number, start: string, told: { bytes: number; ended?: Promise<void> }) {
  return (response: ServerResponse) => {
    told.ended = new Promise((resolve) => response.once('close', resolve));
    response.writeHead(status, { 'content-type': 'application/xml' });
    response.write(start);
    const more = Buffer.alloc(MiB, 'a');
    const go = (): void => {
      while (!response.destroyed && told.bytes < 400 * MiB) {
        told.bytes += more.length;
        if (!response.write(more)) return void response.once('drain', go);
      }
      response.end();
    };
    go();
  };
}

const listAll = async () => {
  const keys: string[] = [];
  for await (const { key } of stand.storage.list('', undefined, go)) keys.push(key);
  return keys;
};

describe('an answer without end', () => {
  test.each([
    ['an error', 403, '<Error><Code>AccessDenied</Code><Message>', 'StorageDenied'],
    ['an error of no known kind', 499, '', 'StorageConfigInvalid'],
    ['a listing', 200, '<ListBucketResult><Contents><Key>', 'StorageConfigInvalid'],
    ['a listing that is no markup', 200, '', 'StorageConfigInvalid'],
  ])('of %s is given up after some megabytes', async (_, status, start, reason) => {
    const told: { bytes: number; ended?: Promise<void> } = { bytes: 0 };
    stand.server.script = () => ({ raw: endless(status, start, told) });
    await expect(listAll()).rejects.toMatchObject({ reason });
    await told.ended;
    expect(told.bytes).toBeLessThan(64 * MiB);
  });

  test('of the completion of an upload leaves no upload behind', async () => {
    const told = { bytes: 0 };
    stand.server.script = ({ what }) =>
      what === 'complete' ? { raw: endless(200, '<CompleteMultipartUploadResult>', told) } : undefined;
    await expect(stand.putBig()).rejects.toMatchObject({ reason: 'StorageConfigInvalid' });
    expect(stand.server.uploads.size).toBe(0);
    expect(told.bytes).toBeLessThan(64 * MiB);
  });

  test('of headers is given up', async () => {
    stand.server.script = ({ what }) =>
      what === 'head' ? { headers: { 'x-amz-meta-a': 'a'.repeat(200_000) } } : undefined;
    await stand.storage.put('a', textBody('x'), {}, go).catch(() => undefined);
    await expect(stand.storage.stat('a', go)).rejects.toMatchObject({ reason: 'StorageConfigInvalid' });
  });

  test('of pages that hold nothing is given up', async () => {
    let pages = 0;
    stand.server.script = ({ what }) => {
      if (what !== 'list') return undefined;
      pages += 1;
      const token = `<NextContinuationToken>t${pages}</NextContinuationToken>`;
      return { body: `<ListBucketResult><IsTruncated>true</IsTruncated>${token}</ListBucketResult>` };
    };
    await expect(listAll()).rejects.toMatchObject({ reason: 'StorageFailed' });
    expect(pages).toBeLessThan(1000);
  });

  test('of pages that go round in a circle is given up', async () => {
    let pages = 0;
    stand.server.script = ({ what }) => {
      if (what !== 'list') return undefined;
      pages += 1;
      const token = `<NextContinuationToken>t${pages % 3}</NextContinuationToken>`;
      const entry = '<Contents><Key>a</Key><Size>1</Size></Contents>';
      return { body: `<ListBucketResult><IsTruncated>true</IsTruncated>${token}${entry}</ListBucketResult>` };
    };
    await expect(listAll()).rejects.toMatchObject({ reason: 'StorageFailed' });
    expect(pages).toBeLessThan(1000);
  });
});

describe('an answer that is none of S3', () => {
  test('says so with its status, and what a proxy must allow', async () => {
    stand.server.script = ({ what }) => (what === 'part' ? { raw: xml(page, 413) } : undefined);
    const failure = await stand.putBig().catch((error: unknown) => error);
    expect(failure).toMatchObject({ reason: 'StorageConfigInvalid' });
    expect(failure).toHaveProperty('message', expect.stringContaining('HTTP 413, not an S3 answer'));
    expect(failure).toHaveProperty('hint', expect.stringMatching(/8 MiB.*client_max_body_size/));
    expect(stand.count('part')).toBeLessThanOrEqual(3);
  });

  test.each([
    ['a web page', '<!doctype html><html></html>'],
    ['a list of buckets', '<ListAllMyBucketsResult><Buckets></Buckets></ListAllMyBucketsResult>'],
    ['JSON', '{"ok":true}'],
    ['a document with entities', '<!DOCTYPE x [<!ENTITY a "aaaa">]><ListBucketResult>&a;</ListBucketResult>'],
  ])('is no empty listing: %s', async (_, body) => {
    stand.server.script = ({ what }) => (what === 'list' ? { body } : undefined);
    await expect(listAll()).rejects.toMatchObject({ reason: 'StorageConfigInvalid' });
    await expect(stand.storage.put('a', textBody('x'), {}, go)).rejects.toMatchObject({
      reason: 'StorageConfigInvalid',
    });
    expect(stand.server.objects.size).toBe(0);
  });

  test.each([
    ['empty', ''],
    ['cut off', '<ListBucketResult><Contents><Key>a</Key><Size>1</Size></Contents>'],
  ])('is no whole listing when it is %s', async (_, body) => {
    stand.server.script = ({ what }) => (what === 'list' ? { body } : undefined);
    await expect(listAll()).rejects.toMatchObject({ reason: 'StorageFailed' });
  });
});

describe('a refusal', () => {
  test.each([
    ['doubled', '<Error><Code>NoSuchBucket</Code><Message>gone</Message><Message>really</Message></Error>'],
    ['nested', '<Error><Code>NoSuchBucket</Code><Message><Message>gone</Message></Message></Error>'],
    ['full of markup', '<Error><Code>NoSuchBucket</Code><Message><b>gone</b><br/></Message></Error>'],
    ['in another error', '<Err><Error><Code>NoSuchBucket</Code><Message>gone</Message></Error></Err>'],
    [
      'with a name space',
      '<s3:Error xmlns:s3="x"><s3:Code>NoSuchBucket</s3:Code><s3:Message>gone</s3:Message></s3:Error>',
    ],
    ['never closed', '<?xml version="1.0"?><Error><Code>NoSuchBucket</Code><Message>gone'],
  ])('keeps its reason when its message is %s', async (_, body) => {
    stand.server.script = () => ({ raw: xml(body, 404) });
    const failure = await stand.storage.put('a', textBody('x'), {}, go).catch((error: unknown) => error);
    expect(failure).toMatchObject({ reason: 'StorageMissing' });
    expect(failure).toHaveProperty('message', expect.stringContaining('gone'));
  });

  test.each([
    [402, 'PaymentRequired', 'StorageConfigInvalid'],
    [411, 'MissingContentLength', 'StorageConfigInvalid'],
    [414, 'KeyTooLongError', 'StorageConfigInvalid'],
    [422, 'Unprocessable', 'StorageConfigInvalid'],
    [451, 'Legal', 'StorageConfigInvalid'],
    [408, 'Slow', 'StorageUnreachable'],
    [409, 'OperationAborted', 'StorageFailed'],
    [502, 'BadGateway', 'StorageFailed'],
    [504, 'GatewayTimeout', 'StorageFailed'],
  ])('of status %i %s is %s', async (status, code, reason) => {
    stand.server.script = ({ what }) => (what === 'put' ? { status, code } : undefined);
    await expect(stand.storage.put('a', textBody('x'), {}, go)).rejects.toMatchObject({ reason });
    if (reason === 'StorageConfigInvalid') expect(stand.slept).toEqual([]);
  });

  test('names the region that the bucket is in', async () => {
    const headers = { 'x-amz-bucket-region': 'eu-west-3' };
    stand.server.script = () => ({ status: 301, code: 'PermanentRedirect', with: headers });
    await expect(stand.storage.stat('a', go)).rejects.toMatchObject({
      reason: 'StorageConfigInvalid',
      hint: 'set s3.region to eu-west-3',
    });
  });
});

describe('a server that has too much to do', () => {
  test('is asked again for minutes, and takes the dump in the end', async () => {
    stand.server.script = ({ what, index }) =>
      what === 'part' && index < 12 ? { status: 503, code: 'SlowDown' } : undefined;
    expect((await stand.putBig()).bytes).toBe(20 * MiB);
    expect(Math.max(...stand.slept)).toBeGreaterThan(4000);
  });

  test.each([
    [429, 'TooManyRequests'],
    [503, 'SlowDown'],
    [503, 'ServiceUnavailable'],
    [400, 'RequestLimitExceeded'],
  ])('is given up after minutes of %i %s', async (status, code) => {
    stand.server.script = ({ what }) => (what === 'part' ? { status, code } : undefined);
    await expect(stand.putBig()).rejects.toMatchObject({ reason: 'StorageThrottled' });
    const waited = stand.slept.reduce((sum, ms) => sum + ms, 0);
    expect(waited).toBeGreaterThan(200_000);
    expect(waited).toBeLessThan(1_000_000);
    expect(stand.server.uploads.size).toBe(0);
  });

  test.each([
    ['seconds', () => '7', 7000],
    ['a date', () => new Date(Date.now() + 60_000).toUTCString(), 50_000],
    ['more than there is patience for', () => '99999', 100_000],
    ['nonsense', () => 'soon', 400],
  ])('is asked again when it says, in %s', async (_, after, least) => {
    stand.server.script = ({ what, index }) =>
      what === 'put' && index === 0 ? { status: 503, code: 'SlowDown', with: { 'retry-after': after() } } : undefined;
    await stand.storage.put('a', textBody('x'), {}, go);
    expect(stand.slept).toHaveLength(1);
    expect(stand.slept[0]).toBeGreaterThan(least - 1);
    expect(stand.slept[0]).toBeLessThanOrEqual(240_000);
  });

  test('gets fewer parts at once', async () => {
    let out = 0;
    let most = 0;
    stand.server.script = ({ what, index, response }) => {
      if (what !== 'part') return undefined;
      if (index < 6) return { status: 503, code: 'SlowDown' };
      out += 1;
      most = Math.max(most, out);
      response.once('finish', () => (out -= 1));
      return undefined;
    };
    await stand.storage.put('big', patternBody(60 * MiB), {}, go);
    expect(most).toBeLessThanOrEqual(3);
    out = 0;
    most = 0;
    stand.server.script = ({ what, response }) => {
      if (what !== 'part') return undefined;
      out += 1;
      most = Math.max(most, out);
      response.once('finish', () => (out -= 1));
      return undefined;
    };
    await stand.storage.put('bigger', patternBody(60 * MiB), {}, go);
    expect(most).toBe(1);
  });
});

test('a download is taken up with servers whose tags are weak', async () => {
  stand.server.objects.set('a', Buffer.from('0123456789'));
  stand.server.script = ({ what, index, headers }) => {
    if (what !== 'get') return undefined;
    if (headers['if-match'] !== undefined) return { status: 412, code: 'PreconditionFailed' };
    return index === 0 ? { cutAfter: 4 } : { headers: { etag: 'W/"781e5e245d69b566979b86e28d23f2c7"' } };
  };
  expect(await readText(stand.storage.get('a', undefined, go))).toBe('0123456789');
});
