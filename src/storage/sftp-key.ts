import { createPrivateKey, type KeyObject } from 'node:crypto';
import ssh2 from 'ssh2';
import { Failure } from '../api/failure.ts';

export interface PrivateKey {
  readonly privateKey: string;
  readonly passphrase?: string;
}

const puttyHint = 'puttygen key.ppk -O private-openssh -o key makes an OpenSSH key of it (PuTTY 0.75 or later)';
const keyHint = 'an OpenSSH or PEM private key, whole, with its passphrase if it has one';

/**
 * A private key in a shape that ssh2 reads: OpenSSH's own and traditional PEM as they are, PKCS#8 (encrypted or not) by way of OpenSSL.
 * Throws `SecretInvalid`, with what to do about the shapes that are not taken.
 */
export function readPrivateKey({ privateKey, passphrase }: PrivateKey): PrivateKey {
  const text = mendLines(privateKey.replace(/^\uFEFF/, '').trim());
  const given = { privateKey: text, ...(passphrase === undefined ? {} : { passphrase }) };
  const problem = readsAsIs(given);
  if (problem === undefined) return given;
  if (text.startsWith('PuTTY-User-Key-File-'))
    throw unreadable('is a PuTTY key that cannot be read', puttyHint, problem);
  if (/^(ssh-|ecdsa-|sk-)|BEGIN (SSH2 |RSA )?PUBLIC KEY/.test(text))
    throw unreadable('is a public key', 'give the private one, the file without .pub', problem);
  if (text.startsWith('-----BEGIN CERTIFICATE')) throw unreadable('is a certificate', keyHint, problem);
  const isEncrypted = /ENCRYPTED/.test(text) || /encrypted/i.test(problem.message);
  if (isEncrypted && passphrase === undefined)
    throw unreadable('is encrypted', 'add its passphrase to the Secret', problem);
  if (!/^-----BEGIN ((RSA|EC|ENCRYPTED) )?PRIVATE KEY-----/.test(text)) {
    const what = isEncrypted || /passphrase|integrity/i.test(problem.message);
    throw unreadable('cannot be read', what ? 'check the passphrase in the Secret' : keyHint, problem);
  }
  return { privateKey: convert(text, passphrase) };
}

/** Templates and environments put a key into one line: in quotes, with backslash and n for each line break, or a blank. */
function mendLines(text: string): string {
  if (text.includes('\n')) return text;
  const lines = text.replace(/^(["'])(.*)\1$/, '$2').replaceAll(/\\r\\n|\\n/g, '\n');
  if (lines.includes('\n')) return lines.trim();
  return lines.replace(
    /^(-----BEGIN [A-Z ]+-----) +(.+?) +(-----END [A-Z ]+-----)$/,
    (_, begin: string, body: string, end: string) => `${begin}\n${body.replaceAll(' ', '\n')}\n${end}`,
  );
}

function readsAsIs({ privateKey, passphrase }: PrivateKey): Error | undefined {
  const parsed: unknown = ssh2.utils.parseKey(privateKey, passphrase);
  const [key] = Array.isArray(parsed) ? (parsed as unknown[]) : [parsed];
  if (key instanceof Error) return key;
  const isPrivate = (key as ssh2.ParsedKey | undefined)?.isPrivateKey() === true;
  return isPrivate ? undefined : new Error('there is no private key in it');
}

function convert(pem: string, passphrase: string | undefined): string {
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: pem, format: 'pem', ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (error) {
    const hint = passphrase === undefined ? keyHint : 'check the passphrase in the Secret, and that the key is whole';
    throw unreadable('cannot be read', hint, error);
  }
  const { asymmetricKeyType } = key;
  if (asymmetricKeyType === 'rsa') return key.export({ type: 'pkcs1', format: 'pem' }).toString();
  if (asymmetricKeyType === 'ec') return key.export({ type: 'sec1', format: 'pem' }).toString();
  if (asymmetricKeyType === 'ed25519') return opensshEd25519(key);
  const hint = 'make a key that SSH knows: ssh-keygen -t ed25519';
  throw unreadable(`is of type ${asymmetricKeyType ?? 'unknown'}, which SSH does not have`, hint);
}

/** As `ssh-keygen` writes it; PKCS#8 is the only other shape of these keys, and ssh2 does not read it. */
function opensshEd25519(key: KeyObject): string {
  const { d = '', x = '' } = key.export({ format: 'jwk' });
  const [secret, open] = [Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')];
  const type = field('ssh-ed25519');
  const check = Buffer.alloc(8);
  const inner = Buffer.concat([check, type, field(open), field(Buffer.concat([secret, open])), field('')]);
  const padding = Buffer.from(Array.from({ length: (8 - (inner.length % 8)) % 8 }, (_, index) => index + 1));
  const whole = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    field('none'),
    field('none'),
    field(''),
    Buffer.from([0, 0, 0, 1]),
    field(Buffer.concat([type, field(open)])),
    field(Buffer.concat([inner, padding])),
  ]);
  const lines = whole.toString('base64').replace(/.{70}/g, '$&\n');
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

function field(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function unreadable(what: string, hint: string, cause?: unknown): Failure {
  return new Failure('SecretInvalid', `the private key ${what}`, { hint, cause });
}
