import { networkInterfaces } from 'node:os';
import { describe, expect, test } from 'vitest';
import { patternBody, readText, textBody } from '../suites/bodies.ts';
import { WholeBytes } from '../../src/storage/whole-bytes.ts';
import { startScriptedS3, type S3Request } from '../servers/scripted-s3.ts';
import { go, MiB, useScriptedS3 } from './s3-stand.ts';

const stand = useScriptedS3();
const sent = (what: S3Request['what']) => stand.server.requests.filter((request) => request.what === what);
const put = (storage = stand.storage) => storage.put('a', textBody('x'), {}, go);
const putWhole = (storage = stand.storage) => storage.put('m', new WholeBytes(Buffer.from('x')), {}, go);

describe('what was asked for', () => {
  const kms = { algorithm: 'aws:kms', kmsKeyId: 'key-1' } as const;
  const sse = 'x-amz-server-side-encryption';
  const key = 'x-amz-server-side-encryption-aws-kms-key-id';
  const storageClass = 'x-amz-storage-class';

  test.each([
    ['encryption', { serverSideEncryption: { algorithm: 'AES256' } }, {}],
    ['encryption of this kind', { serverSideEncryption: kms }, { [sse]: 'AES256' }],
    ['this key', { serverSideEncryption: kms }, { [sse]: 'aws:kms', [key]: 'arn:aws:kms:eu-west-1:1:key/key-2' }],
    ['any key', { serverSideEncryption: { ...kms, kmsKeyId: 'alias/ours' } }, { [sse]: 'aws:kms' }],
    ['this storage class', { storageClass: 'STANDARD_IA' }, {}],
    ['this storage class, but another,', { storageClass: 'STANDARD_IA' }, { [storageClass]: 'ONEZONE_IA' }],
  ] as const)('and not done: a server without %s fails, and keeps nothing', async (_, options, headers) => {
    stand.server.script = ({ what, key: asked }) =>
      what === 'head' && stand.server.objects.has(asked) ? { headers } : undefined;
    const storage = stand.open(options);
    await expect(put(storage)).rejects.toMatchObject({ reason: 'StorageConfigInvalid' });
    await expect(stand.putBig(storage)).rejects.toMatchObject({ reason: 'StorageConfigInvalid' });
    expect(stand.server.objects.size + stand.server.uploads.size).toBe(0);
  });

  test.each([
    ['by id', 'key-1', 'arn:aws:kms:eu-west-1:1:key/key-1'],
    ['by ARN', 'arn:aws:kms:eu-west-1:1:key/key-1', 'arn:aws:kms:eu-west-1:1:key/key-1'],
    ['by ARN, told by id', 'arn:aws:kms:eu-west-1:1:key/key-1', 'key-1'],
    ['by alias', 'alias/ours', 'arn:aws:kms:eu-west-1:1:key/key-9'],
    ['by ARN of an alias', 'arn:aws:kms:eu-west-1:1:alias/ours', 'arn:aws:kms:eu-west-1:1:key/key-9'],
  ])('and done is taken: a key %s', async (_, kmsKeyId, told) => {
    stand.server.script = ({ what, key: asked }) =>
      what === 'head' && stand.server.objects.has(asked) ? { headers: { [sse]: 'aws:kms', [key]: told } } : undefined;
    const storage = stand.open({ serverSideEncryption: { algorithm: 'aws:kms', kmsKeyId } });
    expect((await put(storage)).bytes).toBe(1);
  });

  test('as storage class is asked for dumps, and never for what is whole in memory (manifests, probes)', async () => {
    stand.server.script = ({ what, key: asked }) =>
      what === 'head' && stand.server.objects.has(asked) && asked !== 'm'
        ? { headers: { [storageClass]: 'STANDARD_IA' } }
        : undefined;
    const storage = stand.open({ storageClass: 'STANDARD_IA' });
    await put(storage);
    await putWhole(storage);
    await stand.putBig(storage);
    expect(sent('put').map(({ headers }) => headers[storageClass])).toEqual(['STANDARD_IA', undefined]);
    expect(sent('begin').map(({ headers }) => headers[storageClass])).toEqual(['STANDARD_IA']);
  });
});

describe('a bucket', () => {
  test('that does not exist is never made by a put, of whatever kind', async () => {
    stand.server.script = ({ what }) => (what === 'list' ? { status: 404, code: 'NoSuchBucket' } : undefined);
    for (const attempt of [() => put(), () => putWhole(), () => stand.putBig()])
      await expect(attempt()).rejects.toMatchObject({
        reason: 'StorageMissing',
        hint: expect.stringMatching('bucket'),
      });
    expect(stand.server.requests.map(({ what }) => what).filter((what) => what !== 'list')).toEqual([]);
  });

  test('that nobody may list is written to all the same, and looked at once', async () => {
    stand.server.script = ({ what }) => (what === 'list' ? { status: 403, code: 'AccessDenied' } : undefined);
    await put();
    await put();
    expect(stand.count('list')).toBe(1);
  });

  test('whose name stands at the end of the endpoint, too, is told', async () => {
    stand.server.script = ({ what }) => (what === 'list' ? { status: 404, code: 'NoSuchKey' } : undefined);
    const storage = stand.open({ endpoint: `${stand.server.endpoint}/bucket/` });
    await expect(put(storage)).rejects.toMatchObject({
      reason: 'StorageConfigInvalid',
      hint: expect.stringMatching('ends with the name of the bucket'),
    });
  });
});

describe('an endpoint', () => {
  test.each(['/', '//'])('with %s at its end is the same one', async (end) => {
    await put(stand.open({ endpoint: stand.server.endpoint + end }));
    expect([...stand.server.objects.keys()]).toEqual(['a']);
  });

  test('with a path has the bucket below it', async () => {
    // The scripted server takes the first segment for the bucket.
    stand.server.script = ({ what }) =>
      what === 'get' ? { body: '<ListBucketResult></ListBucketResult>' } : undefined;
    await put(stand.open({ endpoint: `${stand.server.endpoint}/s3/v1/` }));
    expect([...stand.server.objects.keys()]).toEqual(['v1/bucket/a']);
  });

  test('at an address of IPv6 is reached, with the bucket in the path', async ({ skip }) => {
    const has = Object.values(networkInterfaces())
      .flat()
      .some((one) => one?.address === '::1');
    skip(!has, 'this machine has no IPv6');
    const server = await startScriptedS3('::1');
    const storage = stand.open({ endpoint: server.endpoint, forcePathStyle: false });
    await stand.putBig(storage);
    expect(await readText(storage.get('big', { start: 0, end: 0 }, go))).toHaveLength(1);
    expect([...server.objects.keys()]).toEqual(['big']);
    await server.stop();
  });

  test('whose bucket has no name in DNS is told what to set', async () => {
    const storage = stand.open({ endpoint: 'http://s3.example.invalid', forcePathStyle: false });
    await expect(storage.stat('a', go)).rejects.toMatchObject({
      reason: 'StorageUnreachable',
      hint: expect.stringMatching(/bucket\.s3\.example\.invalid.*forcePathStyle: true/),
    });
    const right = stand.open({ endpoint: 'http://s3.example.invalid', forcePathStyle: true });
    await expect(right.stat('a', go)).rejects.toMatchObject({ hint: expect.not.stringMatching('forcePathStyle') });
  });
});

describe('keys in a listing', () => {
  const entry = (key: string) => `<Contents><Key>${key.replaceAll('&', '&amp;')}</Key><Size>1</Size></Contents>`;
  const codings: Readonly<Record<string, (key: string) => string>> = {
    'as forms are': (key) => encodeURIComponent(key).replaceAll('%20', '+').replaceAll('%2F', '/'),
    'as paths are': (key) => encodeURIComponent(key).replaceAll('%2F', '/'),
    'as paths are, but for +': (key) => encodeURIComponent(key).replaceAll('%2F', '/').replaceAll('%2B', '+'),
    'slashes, too': (key) => encodeURIComponent(key),
    'not at all': (key) => key,
  };
  const listed = async (prefix: string) => {
    const found: string[] = [];
    for await (const { key } of stand.storage.list(prefix, undefined, go)) found.push(key);
    return found;
  };

  describe.each(Object.entries(codings))('that are encoded %s', (coding, encode) => {
    test.each([true, false])('are read as they are, and whatever the answer says (%s)', async (says) => {
      const all = ['100%.sql', 'a b+c.sql', 'a+b/c', 'my%20db/x', 'plain', 'ü & <', '%2B', 'a%2Bb c'].sort();
      const some = all.filter((key) => coding !== 'not at all' || !key.includes('<'));
      for (const group of [['my%20db/x'], ['a+b/c'], ['a b+c.sql', 'plain'], some]) {
        const { server } = stand;
        server.objects.clear();
        for (const key of group) server.objects.set(key, Buffer.from('x'));
        stand.storage = stand.open();
        server.script = ({ what, query }) => {
          if (what !== 'list') return undefined;
          const keys = [...server.objects.keys()].filter((key) => key.startsWith(query.get('prefix') ?? ''));
          const encoding = says ? '<EncodingType>url</EncodingType>' : '';
          return {
            body: `<ListBucketResult>${encoding}${keys.map((key) => entry(encode(key))).join('')}</ListBucketResult>`,
          };
        };
        expect((await listed('')).toSorted()).toEqual(group.toSorted());
        const looks = stand.count('head');
        await listed('');
        expect(stand.count('head') - looks).toBeLessThanOrEqual(3);
      }
    });
  });
});

describe('a request whose answer is lost', () => {
  test('that began an upload leaves none', async () => {
    stand.server.script = ({ what, index }) => (what === 'begin' && index < 2 ? 'lose-answer' : undefined);
    await stand.putBig();
    expect(stand.server.objects.get('big')?.length).toBe(20 * MiB);
    expect(stand.server.uploads.size).toBe(0);
  });

  test('leaves none when no answer ever comes', async () => {
    stand.server.script = ({ what }) => (what === 'begin' ? 'lose-answer' : undefined);
    await expect(stand.putBig()).rejects.toMatchObject({ reason: 'StorageUnreachable' });
    expect(stand.count('begin')).toBe(5);
    expect(stand.server.uploads.size).toBe(0);
  });

  test('leaves none when the run is stopped meanwhile, and touches no upload of another key', async () => {
    const other = stand.storage.put('other', stalling(), {}, go);
    other.catch(() => undefined);
    const stop = new AbortController();
    stand.server.script = ({ what, key }) => {
      if (what !== 'begin' || key !== 'big') return undefined;
      stop.abort();
      return 'lose-answer';
    };
    while (stand.server.uploads.size === 0) await new Promise((resolve) => setImmediate(resolve));
    const put = stand.storage.put('big', patternBody(20 * MiB), {}, stop.signal);
    await expect(put).rejects.toMatchObject({ reason: 'Aborted' });
    expect(stand.server.uploads.size).toBe(1);
  });

  async function* stalling() {
    yield* patternBody(9 * MiB);
    await new Promise(() => undefined);
  }
});
