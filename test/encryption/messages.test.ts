import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { MultiKeyringNode } from '@aws-crypto/client-node';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { decryptBytes } from '../../src/encryption/decrypt-bytes.ts';
import { encryptBytes } from '../../src/encryption/encrypt-bytes.ts';
import { readRsaIdentity, type Identity } from '../../src/encryption/identity.ts';
import { openKey, readSealedHead } from '../../src/encryption/open-key.ts';
import { client, aesKeyring, frameBytes, suiteId } from '../../src/encryption/message-client.ts';
import { nameOfKey, readPassphrase, readRsaRecipient, type Recipient } from '../../src/encryption/recipient.ts';
import { sealKey } from '../../src/encryption/seal-key.ts';
import type { Bytes } from '../../src/pipeline/bytes.ts';

const mebibyte = 1024 * 1024;
const context = { 'pgbackup:backup': 'nightly-1', 'pgbackup:database': 'shop' };
const key = new Uint8Array(randomBytes(32));
const random = (bytes: number): Uint8Array => new Uint8Array(randomBytes(bytes));

async function* pieces(bytes: Uint8Array, size: number): Bytes {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
async function collect(bytes: Bytes): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks);
}
const encrypted = async (bytes: Uint8Array, of = context): Promise<Buffer> =>
  collect(encryptBytes(key, of)(pieces(bytes, 300_000)));
const decrypted = async (bytes: Uint8Array, size = 70_001, by = key, of = context): Promise<Buffer> =>
  collect(decryptBytes(by, of)(pieces(bytes, size)));
const reason = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: unknown) => (error instanceof Failure ? error.reason : String(error)),
  );

describe('A message', () => {
  test.each([0, 1, mebibyte - 1, mebibyte, mebibyte + 1, 3 * mebibyte])(
    'of %s bytes comes back as it was, however it is cut on its way',
    async (length) => {
      const bytes = randomBytes(length);
      const message = await encrypted(bytes);
      for (const size of [length > 0 ? 4099 : 1, mebibyte, 1 << 26])
        expect((await decrypted(message, size)).equals(bytes)).toBe(true);
    },
  );

  test('is refused with any bit of its first 400 bytes flipped, and with bits all over it', async () => {
    const message = await encrypted(randomBytes(2 * mebibyte + 77));
    const places = [
      ...Array.from({ length: 400 }, (_, at) => at),
      ...Array.from({ length: 60 }, (_, index) => 400 + Math.floor((index / 60) * (message.length - 400))),
      ...Array.from({ length: 60 }, (_, index) => message.length - 1 - index),
    ];
    const passed: number[] = [];
    for (const [turn, at] of places.entries()) {
      const changed = Buffer.from(message);
      changed[at] = (changed[at] ?? 0) ^ (1 << (turn % 8));
      if ((await reason(decrypted(changed, mebibyte))) !== 'BackupDamaged') passed.push(at);
    }
    expect(passed).toEqual([]);
  }, 120_000);

  test('is refused when it ends early: at any border of a frame, too', async () => {
    const message = await encrypted(randomBytes(3 * mebibyte));
    const frame = 4 + 12 + mebibyte + 16;
    const head = message.length - 3 * frame - (4 + 4 + 12 + 4 + 16);
    const ends = [0, 1, head - 1, head, head + 1, head + frame, head + 2 * frame, head + 3 * frame, message.length - 1];
    for (const end of ends)
      expect([end, await reason(decrypted(message.subarray(0, end)))]).toEqual([end, 'BackupDamaged']);
  });

  test('is refused with anything behind its end, with frames in another order, and with those of another message', async () => {
    const [one, two] = [await encrypted(randomBytes(3 * mebibyte)), await encrypted(randomBytes(3 * mebibyte))];
    const frame = 4 + 12 + mebibyte + 16;
    const head = one.length - 3 * frame - 40;
    const part = (message: Buffer, index: number): Buffer =>
      message.subarray(head + index * frame, head + (index + 1) * frame);
    const tail = one.subarray(head + 3 * frame);
    const start = one.subarray(0, head);
    expect((await decrypted(Buffer.concat([start, part(one, 0), part(one, 1), part(one, 2), tail]))).length).toBe(
      3 * mebibyte,
    );
    const wrong = [
      [one, Buffer.of(0)],
      [one, one],
      [start, part(one, 1), part(one, 0), part(one, 2), tail],
      [start, part(one, 0), part(one, 2), tail],
      [start, part(one, 0), part(one, 0), part(one, 2), tail],
      [start, part(one, 0), part(two, 1), part(one, 2), tail],
      [start, tail],
    ];
    for (const [index, parts] of wrong.entries())
      expect([index, await reason(decrypted(Buffer.concat(parts), mebibyte))]).toEqual([index, 'BackupDamaged']);
  });

  test('is refused under another key, and as something else than it is', async () => {
    const message = await encrypted(randomBytes(1000));
    expect(await reason(decrypted(message, 99, new Uint8Array(32)))).toBe('BackupDamaged');
    for (const of of [
      { ...context, 'pgbackup:database': 'other' },
      { 'pgbackup:database': 'shop' },
      { ...context, more: 'x' },
    ]) {
      const work = decrypted(message, 99, key, of as typeof context);
      expect(await reason(work)).toBe('BackupDamaged');
    }
  });

  test('that never ends is refused at once, and holds no memory', async () => {
    const message = await encrypted(randomBytes(10));
    let given = 0;
    async function* endless(): Bytes {
      yield message;
      for (;;) {
        given += 1;
        yield Buffer.alloc(mebibyte);
      }
    }
    expect(await reason(collect(decryptBytes(key, context)(endless())))).toBe('BackupDamaged');
    expect(given).toBeLessThan(4);
  });

  test('whose source fails fails with that; one that nobody reads to its end lets go of its source', async () => {
    let closed = 0;
    async function* failing(): Bytes {
      try {
        yield randomBytes(2 * mebibyte);
        throw new Failure('ServerUnreachable', 'gone');
      } finally {
        closed += 1;
      }
    }
    expect(await reason(collect(encryptBytes(key, context)(failing())))).toBe('ServerUnreachable');
    const message = await encrypted(randomBytes(2 * mebibyte));
    async function* cut(): Bytes {
      yield message.subarray(0, 1_200_000);
      throw new Failure('ServerUnreachable', 'gone');
    }
    expect(await reason(collect(decryptBytes(key, context)(cut())))).toBe('ServerUnreachable');
    async function* long(): Bytes {
      try {
        for (;;) yield randomBytes(mebibyte);
      } finally {
        closed += 1;
      }
    }
    for await (const chunk of encryptBytes(key, context)(long())) if (chunk.length > 0) break;
    await expect.poll(() => closed).toBe(2);
  });
});

const pair = (modulusLength = 2048) =>
  generateKeyPairSync('rsa', {
    modulusLength,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });

describe('The key of a backup', () => {
  const rsa = pair();
  const raw = random(32);
  const of = { 'pgbackup:backup': 'nightly-1' };
  const recipients: readonly Recipient[] = [
    readRsaRecipient(rsa.publicKey),
    { kind: 'key', key: raw },
    readPassphrase('six random words are enough'),
  ];
  const identities: readonly Identity[] = [
    readRsaIdentity(rsa.privateKey),
    { kind: 'key', key: raw },
    { kind: 'passphrase', passphrase: 'six random words are enough' },
  ];

  test('is opened by each of its recipients, and by nobody else', async () => {
    const sealed = await sealKey(key, recipients, of, random);
    expect(readSealedHead(sealed.bytes).recipients.map(({ name }) => name)).toEqual(sealed.recipients);
    for (const identity of identities) expect(await openKey(sealed.bytes, [identity], of)).toEqual(key);
    const strangers: readonly Identity[] = [
      readRsaIdentity(pair().privateKey),
      { kind: 'key', key: random(32) },
      { kind: 'passphrase', passphrase: 'six random words are enough?' },
    ];
    for (const stranger of [[], ...strangers.map((one) => [one]), strangers]) {
      const said = openKey(sealed.bytes, stranger, of);
      await expect(said).rejects.toMatchObject({ reason: 'IdentityMissing' });
      for (const name of sealed.recipients) await expect(said).rejects.toThrow(name);
    }
    expect(await openKey(sealed.bytes, [...strangers, ...identities], of)).toEqual(key);
  });

  test('is refused with any bit flipped, on every kind of recipient', async () => {
    const kept: string[] = [];
    for (const [index, recipient] of recipients.slice(0, 2).entries()) {
      const { bytes } = await sealKey(key, [recipient], of, random);
      for (let at = 0; at < bytes.length; at += 1) {
        const changed = Uint8Array.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
        const [identity] = identities.slice(index);
        const said = await reason(openKey(changed, identity === undefined ? [] : [identity], of));
        if (said !== 'KeyDamaged' && said !== 'IdentityMissing') kept.push(`${index}: ${at} ${said}`);
      }
    }
    expect(kept).toEqual([]);
  }, 60_000);

  test('is refused as that of another backup, cut, with bytes behind it, and as no message at all', async () => {
    const { bytes } = await sealKey(key, recipients, of, random);
    expect(await reason(openKey(bytes, identities, { 'pgbackup:backup': 'nightly-2' }))).toBe('KeyDamaged');
    for (const changed of [
      bytes.subarray(0, -1),
      Buffer.concat([bytes, Buffer.of(0)]),
      Buffer.from('hello'),
      Buffer.alloc(0),
    ])
      expect(await reason(openKey(changed, identities, of))).toBe('KeyDamaged');
  });

  test('that a stranger made asks for no work and no memory beyond reason, and shows no signs of a terminal', async () => {
    const named = async (names: readonly string[]): Promise<Uint8Array> => {
      const [generator, ...children] = names.map((name) => aesKeyring(name, random(32)));
      const keyring = new MultiKeyringNode({ ...(generator === undefined ? {} : { generator }), children });
      return (await client.encrypt(keyring, key, { suiteId, frameLength: frameBytes, encryptionContext: of })).result;
    };
    const salt = 'A'.repeat(22);
    const identity: readonly Identity[] = [{ kind: 'passphrase', passphrase: 'six random words are enough' }];
    for (const names of [
      [`scrypt:1073741824:8:1:${salt}`],
      [`scrypt:65536:8:99999:${salt}`],
      [`scrypt:3:8:1:${salt}`],
      ['scrypt:'],
      Array.from({ length: 32 }, (_, index) => `scrypt:131072:8:2:${String(index).padStart(22, 'A')}`),
    ])
      expect([names[0], await reason(openKey(await named(names), identity, of))]).toEqual([names[0], 'KeyDamaged']);
    // Whose own key is in it needs none of that.
    const own = await named([nameOfKey(raw), `scrypt:1073741824:8:1:${salt}`]);
    expect(await reason(openKey(own, [{ kind: 'key', key: raw }], of))).toBe('KeyDamaged');
    const shown = readSealedHead(await named(['\u001b[2J aes:1\n'])).recipients.map(({ name }) => name);
    expect(shown).toEqual(['??2J?aes:1?']);
  });

  test('is for somebody, and for nobody twice', async () => {
    const [first, ...others] = recipients;
    for (const list of [[], first === undefined ? [] : [first, ...others, first]])
      await expect(sealKey(key, list, of, random)).rejects.toMatchObject({ reason: 'RecipientInvalid' });
  });
});

describe('A public key', () => {
  test('is taken as SPKI, PKCS #1 and certificate; a private one, an elliptic one, a short one and a text are refused', () => {
    const { publicKey, privateKey } = pair();
    expect(readRsaRecipient(publicKey).kind).toBe('rsa');
    const pkcs1 = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'pkcs1', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    });
    expect(readRsaRecipient(pkcs1.publicKey).kind).toBe('rsa');
    const elliptic = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    for (const text of [privateKey, elliptic.publicKey, pair(1024).publicKey, 'ssh-rsa AAAA', ''])
      expect(() => readRsaRecipient(text)).toThrow(Failure);
  });
});
