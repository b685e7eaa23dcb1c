import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Failure } from '../../src/api/failure.ts';
import { openSecrets } from '../../src/runner/secrets.ts';
import { systemClock, type Clock } from '../../src/support/clock.ts';
import { redactor } from '../../src/support/redaction.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'secrets-'));
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

const never = new AbortController().signal;
const reference = { secretName: 'pg', keys: { username: 'user', password: 'pass word'.replace(' ', '.'), uri: 'uri' } };
const login = { oneOf: [['username', 'password'], ['uri']] };

async function store(key: string, value: string): Promise<void> {
  await mkdir(join(root, 'secrets/pg'), { recursive: true });
  await writeFile(join(root, 'secrets/pg', key), value);
}

/** Time passes only in sleeps; `onSleep` changes the world meanwhile. */
function steppedClock(onSleep: (nowMs: number) => Promise<void> = async () => {}): Clock {
  let nowMs = 0;
  return {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: async (ms) => {
      nowMs += ms;
      await onSleep(nowMs);
    },
  };
}

function open(clock: Clock, waitSeconds = 120) {
  const redact = redactor();
  const waiting: string[] = [];
  const secrets = openSecrets({
    root,
    waitSeconds,
    clock,
    redactor: redact,
    onWaiting: (detail) => waiting.push(detail),
  });
  return { secrets, redact, waiting };
}

test('a trailing newline is no part of a secret, other white space is', async () => {
  await store('user', 'app\n');
  await store('pass.word', ' s3cret pw \r\n');
  const { secrets } = open(systemClock);
  expect(await secrets.read(reference, login, never)).toEqual({ username: 'app', password: ' s3cret pw ' });
});

test.each(['\r\n', '\n\n', '\r\n\r\n', '\r'])('nor is %j at its end', async (end) => {
  await store('user', `app${end}`);
  await store('pass.word', `s3cret${end}`);
  const { secrets } = open(systemClock);
  expect(await secrets.read(reference, login, never)).toEqual({ username: 'app', password: 's3cret' });
});

test.each([
  '-----BEGIN CERTIFICATE-----\nMIIB',
  '-----BEGIN OPENSSH PRIVATE KEY-----',
  'postgresql://app:s3cret@db/shop',
])('what is encoded in base64 twice is named: %j', async (text) => {
  await store('user', 'app');
  await store('pass.word', Buffer.from(text).toString('base64'));
  const { secrets } = open(systemClock);
  await expect(secrets.read(reference, login, never)).rejects.toMatchObject({
    reason: 'SecretInvalid',
    message: 'key pass.word of Secret pg is encoded in base64 twice',
  });
});

test('a key that comes late is waited for', async () => {
  await store('user', 'app');
  const clock = steppedClock(async (nowMs) => {
    if (nowMs === 30_000) await store('pass.word', 'late-secret');
  });
  const { secrets, waiting } = open(clock);
  expect(await secrets.read(reference, login, never)).toEqual({ username: 'app', password: 'late-secret' });
  expect(clock.nowMs()).toBe(30_000);
  expect(waiting[0]).toBe('Secret pg has no key pass.word, or uri');
});

test('a key that never comes fails with Secret and key by name once the time is over', async () => {
  const clock = steppedClock();
  const { secrets } = open(clock, 120);
  await expect(secrets.read(reference, login, never)).rejects.toMatchObject({
    reason: 'SecretMissing',
    message: 'Secret pg has no key user and pass.word, or uri',
  });
  expect(clock.nowMs()).toBe(120_000);
});

test('all Secrets of a run share one waiting time', async () => {
  const clock = steppedClock();
  const { secrets } = open(clock, 10);
  await expect(secrets.read(reference, login, never)).rejects.toMatchObject({ reason: 'SecretMissing' });
  await expect(secrets.read(reference, { oneOf: [['uri']] }, never)).rejects.toMatchObject({ reason: 'SecretMissing' });
  expect(clock.nowMs()).toBe(10_000);
});

test('an empty value is told apart from a missing one', async () => {
  await store('uri', '\n');
  const { secrets } = open(systemClock);
  await expect(secrets.read(reference, login, never)).rejects.toMatchObject({
    reason: 'SecretInvalid',
    message: 'key uri of Secret pg is empty',
  });
});

test('an optional key without a value counts as absent, and so does a way of which one value is empty', async () => {
  await store('user', '');
  await store('pass.word', '\n');
  await store('uri', 'postgresql://app@db/shop');
  const { secrets } = open(systemClock);
  const wanted = { oneOf: [['uri']], optional: ['password'] };
  expect(await secrets.read(reference, wanted, never)).toEqual({ uri: 'postgresql://app@db/shop' });
  expect(await secrets.read(reference, login, never)).toEqual({ uri: 'postgresql://app@db/shop' });
});

test('a byte order mark of UTF-8 is no part of a secret', async () => {
  await store('user', '\ufeffapp');
  await store('pass.word', '\ufeffs3cret\r\n');
  const { secrets } = open(systemClock);
  expect(await secrets.read(reference, login, never)).toEqual({ username: 'app', password: 's3cret' });
});

test.each([
  ['is UTF-16', Buffer.from('\ufeffp4ssword\r\n', 'utf16le')],
  ['is UTF-16', Buffer.from('\ufeffp4ssword', 'utf16le').swap16()],
  ['holds a zero byte', Buffer.from('p4ssword', 'utf16le')],
  ['holds a zero byte', Buffer.from('p4ss\0word')],
  ['is not UTF-8', Buffer.from('pässword', 'latin1')],
  ['has 65537 bytes, more than 65536', Buffer.alloc(65_537, 'p4ssword')],
])('a password that %s is refused at once, and none of it is repeated', async (what, bytes) => {
  await store('user', 'app');
  await mkdir(join(root, 'secrets/pg'), { recursive: true });
  await writeFile(join(root, 'secrets/pg/pass.word'), bytes);
  const { secrets } = open(systemClock);
  const failure = await secrets.read(reference, login, never).catch((error: unknown) => error);
  expect(failure).toMatchObject({ reason: 'SecretInvalid', message: `key pass.word of Secret pg ${what}` });
  expect(`${(failure as Failure).hint}`).not.toContain('word');
});

test('certificates may have comments in any encoding, and be large', async () => {
  const bundle = Buffer.from(`# Autorité\n${'x'.repeat(500_000)}`, 'latin1');
  await mkdir(join(root, 'secrets/pg'), { recursive: true });
  await writeFile(join(root, 'secrets/pg/ca.crt'), bundle);
  const { secrets } = open(systemClock);
  const values = await secrets.read({ secretName: 'pg', keys: { ca: 'ca.crt' } }, { oneOf: [['ca']] }, never);
  expect(values['ca']).toHaveLength(bundle.length);
});

test.each([
  [
    'an @ in the password',
    'postgresql://app:S3cret@Pa55word@127.0.0.1:1/shop',
    ['S3cret', 'Pa55word', 'S3cret@Pa55word'],
  ],
  ['a slash in it', 'postgresql://app:left/right@127.0.0.1/shop', ['left', 'right', 'left/right']],
  ['a question mark and a # in it', 'postgres://app:left?mid#right@db/shop', ['left', 'right', 'left?mid#right']],
  ['a blank in it', 'postgres://app:left right@db/shop', ['left', 'right', 'left right']],
  ['a password for each host', 'postgres://app:first@h1,app:second@h2/shop', ['first', 'second']],
  ['parameters that nobody knows', 'postgres://app@db/shop?sslmode=require&token=abc%2Fdef', ['abc%2Fdef', 'abc/def']],
  ['the phrase of a key', 'postgres://app@db/shop?sslpassword=phrase', ['phrase']],
  ['a JDBC URL', 'jdbc:postgresql://db:5432/shop?user=app&password=hunter2', ['hunter2']],
  ['keywords and values', "host=db user=app password='it\\'s s3cret'", ["it's s3cret", "it\\'s s3cret", 's3cret']],
  ['keywords and values with blanks', 'host=db password = hunter2', ['hunter2']],
])('of a uri with %s every secret part is redacted before it is read', async (_, uri, parts) => {
  await store('uri', uri);
  const { secrets, redact } = open(systemClock);
  await secrets.read(reference, { oneOf: [['uri']] }, never);
  for (const part of parts) expect(redact.text(`<${part}>`), part).toBe('<***>');
  expect(redact.text('require db shop app 127.0.0.1')).toBe('require db shop app 127.0.0.1');
});

test('secrets are redacted although others of their Secret are missing', async () => {
  await store('pass.word', 'hunter-two');
  const { secrets, redact } = open(steppedClock(), 1);
  await expect(secrets.read(reference, login, never)).rejects.toMatchObject({ reason: 'SecretMissing' });
  expect(redact.text('hunter-two')).toBe('***');
});

test('an abort ends the waiting', async () => {
  const { secrets } = open(systemClock);
  const gone = AbortSignal.abort(new Error('stop'));
  await expect(secrets.read(reference, login, gone)).rejects.toThrow('stop');
});

test('secrets are redacted, the user name and public certificates are not', async () => {
  await store('user', 'postgres');
  await store('pass.word', 'hunter-two');
  const { secrets, redact } = open(systemClock);
  await secrets.read(reference, login, never);
  expect(redact.text('postgres:hunter-two@host')).toBe('postgres:***@host');
});

test('the password inside a uri is redacted on its own, encoded and decoded, also as a parameter', async () => {
  await store('uri', 'postgresql://app:p%40ss-w0rd@h1:5432,h2:5433/db?password=second-one&sslmode=require');
  const { secrets, redact } = open(systemClock);
  await secrets.read(reference, { oneOf: [['uri']] }, never);
  expect(redact.text('p@ss-w0rd p%40ss-w0rd second-one')).toBe('*** *** ***');
});
