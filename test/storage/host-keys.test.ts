import { expect, test } from 'vitest';
import {
  acceptsHostKey,
  fingerprintOf,
  keyType,
  offeredAlgorithms,
  parseHostKeys,
} from '../../src/storage/host-keys.ts';

// Made by ssh-keygen; the fingerprints are what `ssh-keygen -lf` prints for them.
const ed25519 = {
  line: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl',
  fingerprint: 'SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU',
};
const blobOf = (line: string): Buffer => Buffer.from(line.split(' ')[1] ?? '', 'base64');
const key = blobOf(ed25519.line);

test('gives the fingerprint that OpenSSH prints', () => {
  // The well-known key of github.com.
  expect(fingerprintOf(key)).toBe(ed25519.fingerprint);
  expect(keyType(key)).toBe('ssh-ed25519');
});

test.each([
  ['a public key', ed25519.line],
  ['a public key with a comment', `${ed25519.line} somebody@somewhere`],
  ['a line of known_hosts', `github.com,140.82.121.4 ${ed25519.line}`],
  ['a line with a port', `[sftp.example.com]:2222 ${ed25519.line}`],
  ['a hashed line', `|1|JfKTdBh7rNbXkVAQCRp4OQoPfmI=|USECr3SWf1JUPsms5AqfD5QfxkM= ${ed25519.line}`],
  ['a fingerprint', ed25519.fingerprint],
  ['a padded fingerprint', `${ed25519.fingerprint}=`],
])('accepts the key when it is pinned as %s', (_, line) => {
  expect(acceptsHostKey(parseHostKeys([line]), key)).toBe(true);
  expect(acceptsHostKey(parseHostKeys([`SHA256:${'A'.repeat(43)}`, line]), key)).toBe(true);
  const another = Buffer.from(key);
  another[another.length - 1] = (another[another.length - 1] ?? 0) ^ 1;
  expect(acceptsHostKey(parseHostKeys([line]), another)).toBe(false);
});

test.each([
  ['nothing', []],
  ['an empty line', ['']],
  ['a short fingerprint', ['SHA256:abc']],
  ['an MD5 fingerprint', ['MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48']],
  ['a key of another type than it says', [ed25519.line.replace('ssh-ed25519', 'ssh-rsa')]],
  ['a certificate authority', [`@cert-authority *.example.com ${ed25519.line}`]],
  ['a revoked key', [`@revoked * ${ed25519.line}`]],
  ['a key without its blob', ['ssh-ed25519']],
])('refuses %s', (_, lines) => {
  expect(() => parseHostKeys(lines)).toThrow(expect.objectContaining({ reason: 'StorageConfigInvalid' }));
});

test('offers the pinned types only, and with fingerprints those first that were not refused', () => {
  expect(offeredAlgorithms(parseHostKeys([ed25519.line]), [])).toEqual(['ssh-ed25519']);
  expect(offeredAlgorithms(parseHostKeys([ed25519.line]), ['ssh-ed25519'])).toEqual([]);
  const open = offeredAlgorithms(parseHostKeys([ed25519.fingerprint]), ['ssh-ed25519']);
  expect(open[0]).toBe('ecdsa-sha2-nistp256');
  expect(open).toContain('rsa-sha2-512');
  expect(open).not.toContain('ssh-ed25519');
});
