import { generateKeyPairSync, type KeyObject, randomBytes, verify } from 'node:crypto';
import ssh2 from 'ssh2';
import { expect, test } from 'vitest';
import { readPrivateKey } from '../../src/storage/sftp-key.ts';

const passphrase = 'a phrase';
const pairs = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ec: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ed25519: generateKeyPairSync('ed25519'),
};

function pkcs8(key: KeyObject, secret?: string): string {
  const cipher = secret === undefined ? {} : { cipher: 'aes-256-cbc', passphrase: secret };
  return key.export({ type: 'pkcs8', format: 'pem', ...cipher }).toString();
}

/** Signs with what was read, and looks with the other half whether it is the same key. */
function signsFor(publicKey: KeyObject, read: { readonly privateKey: string; readonly passphrase?: string }): boolean {
  const parsed = ssh2.utils.parseKey(read.privateKey, read.passphrase);
  if (parsed instanceof Error) throw parsed;
  const bytes = randomBytes(100);
  const algorithm = publicKey.asymmetricKeyType === 'ed25519' ? undefined : 'sha256';
  return verify(algorithm, bytes, publicKey, parsed.sign(bytes, algorithm));
}

test.each(['rsa', 'ec', 'ed25519'] as const)('a private key in PKCS#8 (%s), encrypted or not, is read', (type) => {
  const { privateKey, publicKey } = pairs[type];
  expect(signsFor(publicKey, readPrivateKey({ privateKey: pkcs8(privateKey) }))).toBe(true);
  expect(signsFor(publicKey, readPrivateKey({ privateKey: `\uFEFF\n${pkcs8(privateKey)}\n\n` }))).toBe(true);
  expect(signsFor(publicKey, readPrivateKey({ privateKey: pkcs8(privateKey).replaceAll('\n', '\r\n') }))).toBe(true);
  const encrypted = { privateKey: pkcs8(privateKey, passphrase), passphrase };
  expect(signsFor(publicKey, readPrivateKey(encrypted))).toBe(true);
});

test.each([
  ['pkcs1', 'rsa'],
  ['sec1', 'ec'],
] as const)('a private key in traditional PEM (%s), encrypted or not, is read', (shape, type) => {
  const { privateKey, publicKey } = pairs[type];
  const plain = privateKey.export({ type: shape, format: 'pem' }).toString();
  const secret = { cipher: 'aes-128-cbc', passphrase };
  const encrypted = privateKey.export({ type: shape, format: 'pem', ...secret }).toString();
  expect(signsFor(publicKey, readPrivateKey({ privateKey: plain }))).toBe(true);
  expect(signsFor(publicKey, readPrivateKey({ privateKey: encrypted, passphrase }))).toBe(true);
});

test.each([
  ['backslash and n for each line break', (pem: string) => pem.replaceAll('\n', String.raw`\n`)],
  ['that in quotes', (pem: string) => `"${pem.replaceAll('\n', String.raw`\n`)}"`],
  ['backslash, r, backslash and n', (pem: string) => pem.replaceAll('\n', String.raw`\r\n`)],
  ['a blank for each line break', (pem: string) => pem.trim().replaceAll('\n', ' ')],
])('a private key in one line, with %s, is read', (_, spoil) => {
  for (const { privateKey, publicKey } of [pairs.rsa, pairs.ec, pairs.ed25519])
    expect(signsFor(publicKey, readPrivateKey({ privateKey: spoil(pkcs8(privateKey)) }))).toBe(true);
});

const rsa = pairs.rsa.privateKey;
const puttyKey = [
  'PuTTY-User-Key-File-3: ssh-ed25519',
  'Encryption: none',
  'Comment: imported-openssh-key',
  'Public-Lines: 2',
  'AAAAC3NzaC1lZDI1NTE5AAAAIA==',
  'AAAA',
  'Private-Lines: 1',
  'AAAAIA==',
  'Private-MAC: 00',
].join('\n');

test.each([
  ['an encrypted one without passphrase', pkcs8(rsa, passphrase), undefined, 'is encrypted', 'passphrase'],
  ['a wrong passphrase', pkcs8(rsa, passphrase), 'wrong', 'cannot be read', 'passphrase'],
  ['a key of PuTTY', puttyKey, undefined, 'is a PuTTY key', 'puttygen key.ppk -O private-openssh -o key'],
  ['a public key', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== me', undefined, 'is a public key', 'without .pub'],
  [
    'the public half in PEM',
    pairs.ec.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    undefined,
    'is a public key',
    'without .pub',
  ],
  ['half a key', pkcs8(rsa).slice(0, 900), undefined, 'cannot be read', 'whole'],
  ['a type that SSH does not have', pkcs8(generateKeyPairSync('x25519').privateKey), undefined, 'x25519', 'ssh-keygen'],
  ['anything else', 'nonsense', undefined, 'cannot be read', 'OpenSSH or PEM'],
])('%s is SecretInvalid, and the hint says what to do', (_, privateKey, secret, message, hint) => {
  const given = secret === undefined ? { privateKey } : { privateKey, passphrase: secret };
  expect(() => readPrivateKey(given)).toThrow(
    expect.objectContaining({
      reason: 'SecretInvalid',
      message: expect.stringContaining(message) as string,
      hint: expect.stringContaining(hint) as string,
    }),
  );
});
