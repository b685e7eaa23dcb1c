import { isUtf8 } from 'node:buffer';
import { open } from 'node:fs/promises';
import { Failure } from '../api/failure.ts';

/** Certificates come as bundles; everything else is a line, or a key. */
const publicMaxBytes = 1024 * 1024;
const secretMaxBytes = 64 * 1024;

/** How `-----BEGIN` and `postgres` begin in base64: no text of ours does. */
const encodedTwice = /^(?:LS0tLS1CRUdJTi|cG9zdGdyZX)/;

const asUtf8 = 'store it as UTF-8; a file is converted by iconv -f UTF-16 -t UTF-8';

/**
 * The text of a Secret's key, read from its file; undefined when there is none. A byte order mark of UTF-8 and the
 * line breaks at the end, which editors and `kubectl create secret --from-file` leave, are no part of it.
 * @throws Failure SecretInvalid for what cannot be a text; no message repeats any of it
 */
export async function readSecretText(path: string, what: string, isPublic: boolean): Promise<string | undefined> {
  const bytes = await readBounded(path, what, isPublic ? publicMaxBytes : secretMaxBytes);
  if (bytes === undefined) return undefined;
  if (startsWith(bytes, [0xff, 0xfe]) || startsWith(bytes, [0xfe, 0xff]))
    throw new Failure('SecretInvalid', `${what} is UTF-16`, { hint: asUtf8 });
  if (bytes.includes(0)) throw new Failure('SecretInvalid', `${what} holds a zero byte`, { hint: asUtf8 });
  const content = startsWith(bytes, [0xef, 0xbb, 0xbf]) ? bytes.subarray(3) : bytes;
  // Comments between public certificates are in any encoding; what counts there is ASCII.
  if (!isUtf8(content) && !isPublic)
    throw new Failure('SecretInvalid', `${what} is not UTF-8`, {
      hint: 'store it as UTF-8; a file is converted by iconv -f LATIN1 -t UTF-8',
    });
  const text = content.toString('utf8').replace(/[\r\n]+$/, '');
  if (encodedTwice.test(text))
    throw new Failure('SecretInvalid', `${what} is encoded in base64 twice`, {
      hint: 'encode a value under data once, and one under stringData not at all',
    });
  return text;
}

async function readBounded(path: string, what: string, maxBytes: number): Promise<Buffer | undefined> {
  try {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      if (size > maxBytes) throw new Failure('SecretInvalid', `${what} has ${size} bytes, more than ${maxBytes}`);
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof Failure) throw error;
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new Failure('SecretInvalid', `${what} cannot be read`, { cause: error });
  }
}

function startsWith(bytes: Uint8Array, mark: readonly number[]): boolean {
  return mark.every((byte, at) => bytes[at] === byte);
}
