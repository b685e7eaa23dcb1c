import { createHash, timingSafeEqual } from 'node:crypto';
import { Failure } from '../api/failure.ts';

/** The keys that an SFTP server may show. */
export interface HostKeyPins {
  /** SHA-256 of each key. */
  readonly digests: readonly Buffer[];
  /** Key types of the pins that are whole keys, such as `ssh-ed25519`. */
  readonly types: readonly string[];
  /** Some pins are fingerprints, which do not tell their type. */
  readonly hasFingerprints: boolean;
}

/** Signature algorithms of each key type, the best first. */
const algorithmsOf: Readonly<Record<string, readonly string[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'],
};

/** Reads lines of known_hosts or ssh-keyscan, public keys, or `SHA256:…` fingerprints. Throws `StorageConfigInvalid`. */
export function parseHostKeys(lines: readonly string[]): HostKeyPins {
  if (lines.length === 0) throw new Failure('StorageConfigInvalid', 'no host key is given');
  const digests: Buffer[] = [];
  const types: string[] = [];
  let hasFingerprints = false;
  for (const line of lines) {
    const words = line.trim().split(/\s+/);
    const fingerprint = /^SHA256:([A-Za-z0-9+/]{43})=?$/.exec(words[0] ?? '')?.[1];
    if (fingerprint !== undefined) {
      digests.push(Buffer.from(fingerprint, 'base64'));
      hasFingerprints = true;
      continue;
    }
    const at = words.findIndex((word) => Object.hasOwn(algorithmsOf, word));
    const type = words[at];
    const blob = Buffer.from(words[at + 1] ?? '', 'base64');
    if (type === undefined || keyType(blob) !== type || words[0]?.startsWith('@') === true)
      throw new Failure('StorageConfigInvalid', `host key cannot be read: ${line.trim().slice(0, 80)}`, {
        hint: 'give a line of ssh-keyscan, or a fingerprint as ssh-keygen -lf prints it (SHA256:…)',
      });
    digests.push(digestOf(blob));
    types.push(type);
  }
  return { digests, types, hasFingerprints };
}

/** Compares with every pin, in the same time whichever it is. */
export function acceptsHostKey(pins: HostKeyPins, key: Buffer): boolean {
  const digest = digestOf(key);
  let accepted = 0;
  for (const pin of pins.digests) accepted |= Number(timingSafeEqual(pin, digest));
  return accepted === 1;
}

/** As OpenSSH prints it. */
export function fingerprintOf(key: Buffer): string {
  return `SHA256:${digestOf(key).toString('base64').replace(/=+$/, '')}`;
}

/** The type inside a public key: the first string of its blob. */
export function keyType(key: Buffer): string {
  if (key.length < 4) return '';
  const length = key.readUInt32BE(0);
  return key.subarray(4, 4 + length).toString('latin1');
}

/**
 * What to offer a server that has keys of several types, so that it shows one which is pinned: the pinned types only; with fingerprints,
 * whose type is unknown, those first and then all others that the server has not shown a wrong key of.
 */
export function offeredAlgorithms(pins: HostKeyPins, refusedTypes: readonly string[]): readonly string[] {
  const pinned = Object.keys(algorithmsOf).filter((type) => pins.types.includes(type));
  const others = pins.hasFingerprints ? Object.keys(algorithmsOf).filter((type) => !pinned.includes(type)) : [];
  return [...pinned, ...others]
    .filter((type) => !refusedTypes.includes(type))
    .flatMap((type) => algorithmsOf[type] ?? []);
}

export const allHostKeyAlgorithms: readonly string[] = Object.values(algorithmsOf).flat();

function digestOf(key: Buffer): Buffer {
  return createHash('sha256').update(key).digest();
}
