import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readRsaIdentity, type Identity } from '../../src/encryption/identity.ts';
import type { KmsAccess } from '../../src/encryption/kms-access.ts';
import { openKey, readSealedHead } from '../../src/encryption/open-key.ts';
import { readPassphrase, readRsaRecipient, type Recipient } from '../../src/encryption/recipient.ts';
import { sealKey } from '../../src/encryption/seal-key.ts';
import { limitRequests } from '../../src/runner/limit-kms.ts';
import { systemClock, type Clock } from '../../src/support/clock.ts';
import { startKms, type KmsFault, type KmsKey, type KmsRequest, type KmsServer } from '../servers/kms.ts';

const key = new Uint8Array(randomBytes(32));
const of = { 'pgbackup:backup': 'nightly-1', 'pgbackup:namespace': 'shöp' };
const random = (bytes: number): Uint8Array => new Uint8Array(randomBytes(bytes));
const never = new AbortController().signal;

let kms: KmsServer;
let backups: KmsKey;
let other: KmsKey;
let faraway: KmsKey;
beforeAll(async () => {
  kms = await startKms();
  backups = kms.addKey();
  other = kms.addKey();
  faraway = kms.addKey('us-east-1');
  kms.setAlias('backups', backups);
});
afterAll(async () => kms?.stop());
beforeEach(() => {
  kms.script = () => undefined;
  for (const each of [backups, other, faraway]) each.state = 'Enabled';
});

function access(changes: Partial<KmsAccess> = {}, clock: Clock = systemClock): KmsAccess {
  const { endpoint, accessKeyId, secretAccessKey } = kms;
  return {
    endpoint,
    credentials: { accessKeyId, secretAccessKey },
    agents: { httpAgent: new HttpAgent({ keepAlive: true }), httpsAgent: new HttpsAgent() },
    limit: limitRequests(clock, never),
    ...changes,
  };
}
const recipient = (keyId: string, region = 'eu-west-1', changes: Partial<KmsAccess> = {}): Recipient => ({
  kind: 'kms',
  keyId,
  region,
  access: access(changes),
});
const identity = (changes: Partial<KmsAccess> = {}): Identity => ({ kind: 'kms', access: access(changes) });
const asked = (from: number): readonly KmsRequest[] => kms.requests.slice(from);

describe('A key of AWS KMS', () => {
  test.each([
    ['its id', () => backups.id],
    ['its ARN', () => backups.arn],
    ['an alias', () => 'alias/backups'],
    ['the ARN of an alias', () => backups.arn.replace(/key\/.*/, 'alias/backups')],
  ])('is a recipient by %s, and recorded by its ARN; one request writes, one reads', async (_what, name) => {
    const from = kms.requests.length;
    const sealed = await sealKey(key, [recipient(name())], of, random);
    expect(sealed.recipients).toEqual([backups.arn]);
    expect(readSealedHead(sealed.bytes).recipients).toEqual([{ provider: 'aws-kms', name: backups.arn }]);
    expect(await openKey(sealed.bytes, [identity()], of)).toEqual(key);
    expect(asked(from).map(({ operation, body }) => [operation, body['KeyId'], body['EncryptionContext']])).toEqual([
      ['Encrypt', name(), of],
      ['Decrypt', backups.arn, of],
    ]);
  });

  test('opens what it wrapped also when its alias has moved', async () => {
    kms.setAlias('moving', backups);
    const { bytes } = await sealKey(key, [recipient('alias/moving')], of, random);
    kms.setAlias('moving', other);
    expect(await openKey(bytes, [identity()], of)).toEqual(key);
    expect((await sealKey(key, [recipient('alias/moving')], of, random)).recipients).toEqual([other.arn]);
  });

  test('stands beside recipients of all other kinds, in any order; each opens alone', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    const raw = random(32);
    const words = 'six random words are enough';
    const all: readonly Recipient[] = [
      recipient(backups.arn),
      readRsaRecipient(publicKey),
      { kind: 'key', key: raw },
      recipient(faraway.arn, 'us-east-1'),
      readPassphrase(words),
    ];
    const openers: readonly Identity[] = [
      identity({ region: 'eu-west-1' }),
      identity({ region: 'us-east-1' }),
      readRsaIdentity(privateKey),
      { kind: 'key', key: raw },
      { kind: 'passphrase', passphrase: words },
    ];
    for (const recipients of [all, [...all].reverse()]) {
      const sealed = await sealKey(key, recipients, of, random);
      for (const opener of openers) expect(await openKey(sealed.bytes, [opener], of)).toEqual(key);
      // Who needs no network asks nobody.
      const from = kms.requests.length;
      await openKey(sealed.bytes, openers, of);
      expect(asked(from)).toEqual([]);
    }
  });

  test('is asked in the region of its ARN, and only there where a region is given', async () => {
    const { bytes } = await sealKey(key, [recipient(faraway.arn, 'us-east-1')], of, random);
    const from = kms.requests.length;
    expect(await openKey(bytes, [identity()], of)).toEqual(key);
    expect(asked(from).map(({ region }) => region)).toEqual(['us-east-1']);
    await expect(openKey(bytes, [identity({ region: 'eu-west-1' })], of)).rejects.toMatchObject({
      reason: 'IdentityMissing',
    });
    expect(asked(from)).toHaveLength(1);
  });

  test('is not there twice, by whatever names', async () => {
    for (const names of [
      [backups.arn, backups.arn],
      [backups.id, 'alias/backups'],
    ])
      await expect(
        sealKey(
          key,
          names.map((name) => recipient(name)),
          of,
          random,
        ),
      ).rejects.toMatchObject({
        reason: 'RecipientInvalid',
      });
  });

  test('is not asked on the word of a key file that belongs to another backup', async () => {
    const { bytes } = await sealKey(key, [recipient(backups.arn)], of, random);
    const from = kms.requests.length;
    await expect(openKey(bytes, [identity()], { 'pgbackup:backup': 'nightly-2' })).rejects.toMatchObject({
      reason: 'KeyDamaged',
    });
    expect(asked(from)).toEqual([]);
  });

  test('refuses a key file whose context or wrapped key was changed', async () => {
    const { bytes } = await sealKey(key, [recipient(backups.arn)], of, random);
    const text = Buffer.from(bytes);
    const kept: number[] = [];
    for (let at = 0; at < text.length; at += 7) {
      const changed = Uint8Array.from(text);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      const said = await openKey(changed, [identity()], of).then(
        () => 'opened',
        (error: unknown) => (error instanceof Error && 'reason' in error ? error.reason : String(error)),
      );
      // A changed ARN is another key, or none at all.
      if (!['KeyDamaged', 'IdentityMissing', 'KmsKeyMissing'].includes(String(said))) kept.push(at);
    }
    expect(kept).toEqual([]);
    const forged = Buffer.from(text);
    forged.write('nightly-2', text.indexOf('nightly-1'));
    await expect(openKey(forged, [identity()], { ...of, 'pgbackup:backup': 'nightly-2' })).rejects.toMatchObject({
      reason: 'KeyDamaged',
    });
  });
});

const refusal = (name: string, status = 400): KmsFault => ({ status, name });
const failures: readonly (readonly [string, string, () => void])[] = [
  ['a key that is disabled', 'KmsKeyDisabled', () => (backups.state = 'Disabled')],
  ['a key that waits for its deletion', 'KmsKeyDisabled', () => (backups.state = 'PendingDeletion')],
  ['missing rights', 'KmsDenied', () => (kms.script = () => refusal('AccessDeniedException'))],
  ['an expired token', 'KmsDenied', () => (kms.script = () => refusal('ExpiredTokenException'))],
  ['throttling', 'KmsThrottled', () => (kms.script = () => refusal('ThrottlingException'))],
  ['an error of KMS itself', 'KmsUnreachable', () => (kms.script = () => refusal('KMSInternalException', 500))],
  ['a key store that is away', 'KmsUnreachable', () => (kms.script = () => refusal('KeyUnavailableException', 500))],
  ['a connection that ends', 'KmsUnreachable', () => (kms.script = () => 'reset')],
  ['a key of another use', 'KmsConfigInvalid', () => (kms.script = () => refusal('InvalidKeyUsageException'))],
  [
    'a page of something else',
    'KmsConfigInvalid',
    () => (kms.script = () => ({ raw: (response) => void response.writeHead(200).end('<html>welcome</html>') })),
  ],
  [
    'an answer that leaves out the key',
    'KmsConfigInvalid',
    () => (kms.script = () => ({ raw: (response) => void response.writeHead(200).end('{}') })),
  ],
  [
    'a proxy that fails',
    'KmsUnreachable',
    () => (kms.script = () => ({ raw: (response) => void response.writeHead(502).end('bad gateway') })),
  ],
];

describe('AWS KMS is named when it fails', () => {
  test.each(failures)('by %s: %s, to write and to read', async (_what, reason, spoil) => {
    const { bytes } = await sealKey(key, [recipient(backups.arn)], of, random);
    spoil();
    for (const work of [
      async () => sealKey(key, [recipient(backups.arn)], of, random),
      async () => openKey(bytes, [identity()], of),
    ]) {
      const said = expect(work()).rejects;
      await said.toMatchObject({ reason });
      await said.toThrow(backups.arn);
      await said.not.toThrow(/AKIA|Signature=|Credential/);
    }
  });

  test('by a key that is not there, one of another region, and credentials that nobody knows', async () => {
    const wrong = { credentials: { accessKeyId: 'AKIANOBODY', secretAccessKey: 'x' } };
    const { bytes } = await sealKey(key, [recipient(backups.arn)], of, random);
    const cases = [
      ['KmsKeyMissing', async () => sealKey(key, [recipient('alias/nothing')], of, random)],
      ['KmsKeyMissing', async () => sealKey(key, [recipient(backups.id, 'us-east-1')], of, random)],
      ['KmsDenied', async () => sealKey(key, [recipient(backups.arn, 'eu-west-1', wrong)], of, random)],
      ['KmsDenied', async () => openKey(bytes, [identity(wrong)], of)],
      [
        'KmsUnreachable',
        async () => sealKey(key, [recipient(backups.arn, 'eu-west-1', { endpoint: 'http://127.0.0.1:9' })], of, random),
      ],
      ['KmsUnreachable', async () => openKey(bytes, [identity({ endpoint: 'http://kms.invalid' })], of)],
    ] as const;
    for (const [reason, work] of cases) await expect(work()).rejects.toMatchObject({ reason });
  });

  test('by what passes, when one key is denied and another one does not answer; by nothing when one opens', async () => {
    const both = [recipient(backups.arn), recipient(other.arn)];
    const { bytes } = await sealKey(key, both, of, random);
    const answer = (first: KmsFault, second: KmsFault): void => {
      kms.script = ({ body }) => (body['KeyId'] === backups.arn ? first : second);
    };
    answer(refusal('AccessDeniedException'), refusal('KMSInternalException', 500));
    await expect(openKey(bytes, [identity()], of)).rejects.toMatchObject({ reason: 'KmsUnreachable' });
    answer(refusal('AccessDeniedException'), undefined);
    expect(await openKey(bytes, [identity()], of)).toEqual(key);
  });

  test('an error that passes is asked again at once', async () => {
    let failed = 0;
    kms.script = () => ((failed += 1) === 1 ? refusal('KMSInternalException', 500) : undefined);
    expect((await sealKey(key, [recipient(backups.arn)], of, random)).recipients).toEqual([backups.arn]);
  });

  test('a KMS that never answers is waited for within the limits, however many keys a file names', async () => {
    const keys = Array.from({ length: 32 }, () => kms.addKey());
    const { bytes } = await sealKey(
      key,
      keys.map(({ arn }) => recipient(arn)),
      of,
      random,
    );
    kms.script = () => 'hang';
    // Time passes a thousand times as fast.
    const began = performance.now();
    const fast: Clock = {
      nowMs: () => Date.now(),
      monotonicMs: () => (performance.now() - began) * 1000,
      sleep: async (ms, signal) => systemClock.sleep(ms / 1000, signal),
    };
    const from = kms.requests.length;
    const hanging: Identity = { kind: 'kms', access: access({}, fast) };
    await expect(
      openKey(
        bytes,
        Array.from({ length: 32 }, () => hanging),
        of,
      ),
    ).rejects.toMatchObject({
      reason: 'KmsUnreachable',
    });
    expect((performance.now() - began) / 1000).toBeLessThan(10);
    expect(asked(from).length).toBeLessThan(20);
  });
});
