import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
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
