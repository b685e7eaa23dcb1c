import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { annotations } from '../../../src/api/kinds.ts';
import type { FailureReason } from '../../../src/api/reasons.ts';
import { resources } from '../../../src/controller/resources.ts';
import { makeAuthority } from '../../servers/certificates.ts';
import { startS3 } from '../../servers/s3.ts';
import type { Arranged, Expected, FaultCase } from '../fault-case.ts';
import { namespace, never, type FaultStand, type S3Overrides } from '../fault-stand.ts';
import { until } from '../waiting.ts';
import type { S3Verb } from '../../servers/s3-verb.ts';
import type { HttpFault, HttpScript } from '../http-proxy.ts';
import { startTcpProxy } from '../tcp-proxy.ts';

const none = async (): Promise<void> => undefined;
/** Reads nothing of the answer but its beginning: a manifest is a few KB. */
const fewBytes = 200;
const errorBody = '<?xml version="1.0"?><Error><Code>InternalError</Code><Message>planted</Message></Error>';
const good: Expected = { succeeded: 'True', reason: 'Succeeded', destinations: ['Stored'] };
const bad = (reason: FailureReason): Expected => ({ succeeded: 'False', reason, destinations: [reason] });

/** A bucket behind the proxy, and the big database. */
async function arrangeBucket(
  stand: FaultStand,
  name: string,
  overrides: S3Overrides = {},
  database: 'big' | 'large' = 'big',
): Promise<Arranged> {
  return {
    places: [await stand.makeS3(name, overrides)],
    postgres: await stand.postgresProxy(),
    databases: [database],
    lift: none,
  };
}

/** The run's requests meet a script; the inspection before it does not. */
async function arrangeScript(
  stand: FaultStand,
  name: string,
  script: HttpScript,
  database?: 'large',
): Promise<Arranged> {
  let met = 0;
  return {
    ...(await arrangeBucket(stand, name, {}, database)),
    impatient: name.endsWith('-stall'),
    arm: async () => stand.http.script(name, script),
    during: async ({ isOver }) => {
      await until('the run is over', isOver);
      met = stand.http.faults(name);
    },
    met: () => met > 0,
    lift: async () => stand.http.script(name, undefined),
  };
}

const scripted = (name: string, fault: string, script: HttpScript, expected: Expected): FaultCase => ({
  name: `s3-${name}`,
  room: 's3',
  fault,
  arrange: (stand, key) => arrangeScript(stand, key, script),
  expect: expected,
});
/** The same with a dump of 41 parts. */
const scriptedLarge = (name: string, fault: string, script: HttpScript, expected: Expected): FaultCase => ({
  ...scripted(name, fault, script, expected),
  dump: 'large',
  arrange: (stand, key) => arrangeScript(stand, key, script, 'large'),
});
const once =
  (verb: S3Verb, fault: HttpFault, index = 0): HttpScript =>
  (asked) =>
    asked.verb === verb && asked.index === index ? fault : undefined;
const always =
  (verb: S3Verb, fault: HttpFault): HttpScript =>
  (asked) =>
    asked.verb === verb ? fault : undefined;
const answer = (status: number, code: string): HttpFault => ({ status, code });
const ofVolume =
  (fault: HttpFault): HttpScript =>
  ({ verb, key }) =>
    (verb === 'put' || verb === 'part') && !key.endsWith('manifest.json') ? fault : undefined;
/** The first look for the manifest comes before the dump. */
const ofManifestReadBack =
  (fault: HttpFault): HttpScript =>
  ({ verb, key, index }) =>
    verb === 'get' && index > 0 && key.endsWith('manifest.json') ? fault : undefined;
const firstOf = (script: HttpScript): HttpScript => {
  let isMet = false;
  return (asked) => {
    const fault = isMet ? undefined : script(asked);
    isMet ||= fault !== undefined;
    return fault;
  };
};

export const s3Cases: readonly FaultCase[] = [
  scripted('part-500-once', 'a part is answered with 500 once', once('part', answer(500, 'InternalError'), 1), good),
  scripted(
    'part-500-always',
    'parts are answered with 500',
    always('part', answer(500, 'InternalError')),
    bad('StorageFailed'),
  ),
  scripted(
    'begin-500-once',
    'beginning the upload is answered with 500 once',
    once('begin', answer(500, 'InternalError')),
    good,
  ),
  scripted(
    'begin-500-always',
    'beginning the upload is answered with 500',
    always('begin', answer(500, 'InternalError')),
    bad('StorageFailed'),
  ),
  scripted('slow-down-once', 'a part is answered with 503 SlowDown once', once('part', answer(503, 'SlowDown')), good),
  scripted(
    'slow-down-stall',
    'parts are answered with 503 SlowDown for longer than it is waited',
    always('part', answer(503, 'SlowDown')),
    bad('StorageThrottled'),
  ),
  scripted(
    'everything-503-stall',
    'every request is answered with 503 for longer than it is waited',
    () => answer(503, 'ServiceUnavailable'),
    bad('StorageThrottled'),
  ),
  scriptedLarge(
    'part-reset-once',
    'the connection is reset in the middle of the 21st part once',
    once('part', 'reset', 20),
    good,
  ),
  scripted(
    'part-reset-always',
    'the connection is reset in the middle of each part',
    always('part', 'reset'),
    bad('StorageUnreachable'),
  ),
  scripted('part-answer-lost', 'a part arrives and its answer is lost', once('part', 'lose-answer'), good),
  scripted('part-slow', 'parts pass at 8 MB/s', ofVolume({ bytesPerSecond: 8_000_000 }), good),
  scripted(
    'complete-error-body-once',
    'CompleteMultipartUpload answers 200 with an error inside, once',
    once('complete', { body: errorBody }),
    good,
  ),
  scripted(
    'complete-error-body-always',
    'CompleteMultipartUpload answers 200 with an error inside',
    always('complete', { body: errorBody }),
    bad('StorageFailed'),
  ),
  scriptedLarge(
    'complete-answer-lost',
    'the upload is completed and the answer is lost',
    once('complete', 'lose-answer'),
    good,
  ),
  scripted(
    'complete-answer-always-lost',
    'the upload is completed and every answer to that is lost',
    always('complete', 'lose-answer'),
    good,
  ),
  scripted(
    'complete-denied',
    'completing the upload is answered with 403',
    always('complete', answer(403, 'AccessDenied')),
    bad('StorageDenied'),
  ),
  scripted('part-denied', 'putting is answered with 403', ofVolume(answer(403, 'AccessDenied')), bad('StorageDenied')),
  scripted(
    'manifest-denied',
    'putting the manifest is answered with 403',
    always('put', answer(403, 'AccessDenied')),
    bad('StorageDenied'),
  ),
  scripted(
    'manifest-500-once',
    'putting the manifest is answered with 500 once',
    once('put', answer(500, 'InternalError')),
    good,
  ),
  scripted(
    'manifest-500-always',
    'putting the manifest is answered with 500',
    always('put', answer(500, 'InternalError')),
    bad('StorageFailed'),
  ),
  scripted('manifest-answer-lost', 'the manifest is stored and the answer is lost', once('put', 'lose-answer'), good),
  scripted(
    'expired-token',
    'every request is answered with ExpiredToken',
    () => answer(400, 'ExpiredToken'),
    bad('StorageCredentialsInvalid'),
  ),
  scripted(
    'part-corrupted',
    'a bit of a part is flipped on the way',
    once('part', { flipAt: 1_000_000 }),
    bad('StoredBytesDiffer'),
  ),
  scripted(
    'manifest-corrupted',
    'a bit of the manifest is flipped on the way',
    once('put', { flipAt: 100 }),
    bad('StoredBytesDiffer'),
  ),
  scripted(
    'wrong-etag',
    'a part is acknowledged with the ETag and the checksum of other bytes',
    once('part', { headers: { etag: `"${'0'.repeat(32)}"`, 'x-amz-checksum-crc32': 'AAAAAA==' } }),
    bad('StoredBytesDiffer'),
  ),
  scripted(
    'read-back-cut-once',
    'reading the manifest back breaks off once',
    firstOf(ofManifestReadBack({ cutAfter: fewBytes })),
    good,
  ),
  scripted(
    'read-back-cut-always',
    'reading the manifest back always breaks off: nobody knows whether it stands',
    ofManifestReadBack({ cutAfter: 0 }),
    { ...bad('StorageUnreachable'), unknown: [0] },
  ),
  scripted(
    'no-s3-server',
    'the endpoint answers everything with a web page',
    () => ({ body: '<html>hello</html>' }),
    bad('StorageConfigInvalid'),
  ),
  {
    name: 's3-delete-denied',
    room: 's3',
    fault: 'deleting is answered with 403: a run does not need it, the probe of the location tells it',
    arrange: async (stand, name) => {
      stand.http.script(name, always('delete', answer(403, 'AccessDenied')));
      return {
        ...(await arrangeBucket(stand, name)),
        afterwards: async () => {
          const { conditions } = stand.location(name)?.status ?? {};
          expect(conditions?.find(({ type }) => type === 'Available')).toMatchObject({
            status: 'False',
            reason: 'StorageDenied',
          });
          const { text } = await stand.metrics.print();
          expect(text).toMatch(new RegExp(`^pgbackup_location_available\\{[^}]*location="${name}"[^}]*\\} 0$`, 'm'));
        },
        met: () => stand.http.faults(name) > 0,
        lift: async () => {
          stand.http.script(name, undefined);
          await probeAgain(stand, name);
        },
      };
    },
    expect: good,
  },
  {
    name: 's3-bucket-missing',
    room: 's3',
    fault: 'the bucket does not exist',
    arrange: async (stand, name) => {
      const arranged = await arrangeBucket(stand, name);
      const bucket = join(stand.s3Folder, name);
      await rm(bucket, { recursive: true });
      return { ...arranged, lift: () => mkdir(bucket) };
    },
    expect: bad('StorageMissing'),
  },
  {
    name: 's3-wrong-secret',
    room: 's3',
    fault: 'the secret access key is another one',
    arrange: async (stand, name) => {
      const { accessKeyId, secretAccessKey } = stand.s3;
      return {
        ...(await arrangeBucket(stand, name, { secretAccessKey: 'another-secret' })),
        lift: () => stand.putSecret(name, { accessKeyId, secretAccessKey }),
      };
    },
    expect: bad('StorageCredentialsInvalid'),
  },
  {
    name: 's3-unknown-key',
    room: 's3',
    fault: 'the server does not know the access key',
    arrange: async (stand, name) => {
      const { accessKeyId, secretAccessKey } = stand.s3;
      return {
        ...(await arrangeBucket(stand, name, { accessKeyId: 'nobody' })),
        lift: () => stand.putSecret(name, { accessKeyId, secretAccessKey }),
      };
    },
    expect: bad('StorageCredentialsInvalid'),
  },
  {
    name: 's3-wrong-authority',
    room: 's3',
    fault: 'the certificate of the endpoint is signed by another authority',
    arrange: async (stand, name) => {
      const authority = await makeAuthority(join(stand.folder, `${name}-ca`));
      const other = await makeAuthority(join(stand.folder, `${name}-other`), 'another authority');
      const serverFolder = join(stand.folder, `${name}-s3`);
      const tls = await authority.issue({ host: '127.0.0.1' });
      const server = await startS3({ dir: serverFolder, versitygw: process.env['VERSITYGW'], tls });
      stand.onStop(() => server.stop());
      await stand.putSecret(`${name}-ca`, { 'ca.crt': other.ca });
      const { endpoint } = server;
      const spec = { ca: { secretName: `${name}-ca` } };
      return {
        ...(await arrangeBucket(stand, name, { server, serverFolder, endpoint, spec })),
        lift: () => stand.putSecret(`${name}-ca`, { 'ca.crt': authority.ca }),
      };
    },
    expect: bad('TlsFailed'),
  },
  {
    name: 's3-refused',
    room: 's3',
    fault: 'nothing listens at the endpoint',
    arrange: async (stand, name) => {
      const proxy = await startTcpProxy({ host: '127.0.0.1', port: Number(new URL(stand.http.endpoint).port) });
      stand.onStop(() => proxy.stop());
      return {
        ...(await arrangeBucket(stand, name, { endpoint: `http://${proxy.host}:${proxy.port}` })),
        arm: () => proxy.refuse(),
        lift: () => proxy.accept(),
      };
    },
    expect: bad('StorageUnreachable'),
  },
];

async function probeAgain(stand: FaultStand, name: string): Promise<void> {
  const { client } = stand.operator;
  await until('the probe is asked for', async () => {
    const location = await client.get(resources.location, namespace, name, never);
    if (location === undefined) return false;
    const { metadata } = location;
    const asked = { ...metadata.annotations, [annotations.probeRequestedAt]: 'now' };
    return client.put(resources.location, { ...location, metadata: { ...metadata, annotations: asked } }, never).then(
      () => true,
      () => false,
    );
  });
  await until(`${name} is available again`, () =>
    stand.location(name)?.status?.conditions?.some(({ type, status }) => type === 'Available' && status === 'True'),
  );
}
