import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { decryptBytes } from '../../src/encryption/decrypt-bytes.ts';
import { recogniseIdentity } from '../../src/encryption/identity.ts';
import { openKey, readSealedHead } from '../../src/encryption/open-key.ts';

const context = z.record(z.string(), z.string());
const vectors = z
  .strictObject({
    written: z.string(),
    context,
    privateKey: z.string(),
    key: z.string(),
    passphrase: z.string(),
    recipients: z.array(z.string()),
    sealed: z.base64(),
    messages: z.array(z.strictObject({ context, plain: z.string(), message: z.base64() })).min(2),
  })
  .parse(JSON.parse(readFileSync(new URL('../vectors/encryption.json', import.meta.url), 'utf8')));
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));

/** Never written anew: what was stored once is read for ever. */
describe('What was encrypted on 2026-12-01', () => {
  test.each(['privateKey', 'key', 'passphrase'] as const)('is opened by its %s', async (what) => {
    const identity = recogniseIdentity(Buffer.from(vectors[what]));
    const key = await openKey(bytesOf(vectors.sealed), [identity], vectors.context);
    for (const { context: of, plain, message } of vectors.messages) {
      const chunks: Uint8Array[] = [];
      const source = (async function* () {
        yield bytesOf(message);
      })();
      for await (const chunk of decryptBytes(key, of)(source)) chunks.push(chunk);
      expect(Buffer.concat(chunks).toString('utf8')).toBe(plain);
    }
  });

  test('names its recipients as it did', () => {
    expect(readSealedHead(bytesOf(vectors.sealed)).recipients.map(({ name }) => name)).toEqual(vectors.recipients);
  });
});
