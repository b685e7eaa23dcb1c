import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { parseManifest } from '../../src/domain/manifest.ts';
import {
  isSignedBy,
  nameOfSigner,
  readSigningKey,
  readVerifyingKey,
  signManifest,
} from '../../src/encryption/signing-key.ts';

const vector = z
  .strictObject({
    written: z.string(),
    privateKey: z.string(),
    publicKey: z.string(),
    keyId: z.string(),
    key: z.string(),
    manifest: z.string(),
    signature: z.hex(),
  })
  .parse(JSON.parse(readFileSync(new URL('../vectors/signature.json', import.meta.url), 'utf8')));

/** Never written anew: what was signed once is verified for ever. */
test('what was signed on 2026-12-01 is verified by its public key, under the same name', () => {
  const publicKey = readVerifyingKey(vector.publicKey);
  const bytes = Buffer.from(vector.manifest);
  expect(nameOfSigner(publicKey)).toBe(vector.keyId);
  expect(nameOfSigner(createPublicKey(readSigningKey(vector.privateKey)))).toBe(vector.keyId);
  expect(isSignedBy(bytes, Buffer.from(vector.signature, 'hex'), publicKey)).toBe(true);
  expect(parseManifest(vector.key, vector.manifest).signature?.keyId).toBe(vector.keyId);
  // Ed25519 makes the same signature each time.
  expect(Buffer.from(signManifest(bytes, readSigningKey(vector.privateKey))).toString('hex')).toBe(vector.signature);
});
