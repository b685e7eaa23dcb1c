import { scrypt } from 'node:crypto';
import { Failure } from '../api/failure.ts';
import { maxRecipients } from './message-head.ts';

/** [RFC 7914](https://www.rfc-editor.org/rfc/rfc7914), with a salt of 16 bytes. */
export interface ScryptParameters {
  readonly N: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Uint8Array;
}

/** 64 MiB of memory and a third of a second. */
export const scryptCost = { N: 2 ** 16, r: 8, p: 2 } as const;
/** What a stranger's file may make us do for each passphrase: eight times the memory of ours, and as much work as the most recipients. */
const maxMemory = 512 * 1024 * 1024;
const maxWork = maxRecipients * scryptCost.N * scryptCost.r * scryptCost.p;

export function nameOfScrypt({ N, r, p, salt }: ScryptParameters): string {
  return `scrypt:${N}:${r}:${p}:${Buffer.from(salt).toString('base64url')}`;
}

/** Those of the names that are of passphrases. @throws Failure KeyDamaged when they ask for more than anybody needs */
export function parseScryptNames(names: readonly string[]): readonly ScryptParameters[] {
  const all = names.filter((name) => name.startsWith('scrypt:')).map(parseScryptName);
  const work = all.reduce((sum, { N, r, p }) => sum + N * r * p, 0);
  if (work > maxWork) throw new Failure('KeyDamaged', 'the key of the backup asks for more work than passphrases need');
  return all;
}

function parseScryptName(name: string): ScryptParameters {
  const match = /^scrypt:(\d{1,10}):(\d{1,5}):(\d{1,5}):([A-Za-z0-9_-]{22})$/.exec(name);
  const [, logN = '', blocks = '', lanes = '', salt = ''] = match ?? [];
  const [N, r, p] = [Number(logN), Number(blocks), Number(lanes)];
  const isPower = N > 1 && Number.isInteger(Math.log2(N));
  if (match === null || !isPower || r < 1 || p < 1 || 128 * N * r > maxMemory)
    throw new Failure(
      'KeyDamaged',
      `the key of the backup names parameters of a passphrase that are not taken: ${name}`,
    );
  return { N, r, p, salt: new Uint8Array(Buffer.from(salt, 'base64url')) };
}

/** A key of 256 bits. Works on the thread pool. */
export async function deriveKey(passphrase: string, { N, r, p, salt }: ScryptParameters): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    scrypt(passphrase, salt, 32, { N, r, p, maxmem: 128 * N * r + 128 * r * p + 1024 * 1024 }, (error, key) => {
      if (error === null) resolve(new Uint8Array(key));
      else reject(error);
    });
  });
}
