import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { openStorage } from '../../src/storage/open.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';

const tools = { clock: systemClock, random: systemRandom };
const pin = `SHA256:${'A'.repeat(43)}`;

test('names every kind of place, and no secret', async () => {
  const credentials = { accessKeyId: 'AKIA', secretAccessKey: 'secret', username: 'u', password: 'secret' };
  const names: string[] = [];
  for (const place of [
    { s3: { bucket: 'bucket', prefix: 'a/b', region: 'eu-central-1' } },
    { sftp: { host: 'host', path: '/backups', hostKeys: [pin] } },
    { directory: { path: '/backups' } },
  ]) {
    const storage = await openStorage(place, credentials, tools);
    names.push(storage.name);
    await storage.close();
  }
  expect(names).toEqual(['s3://bucket/a/b', 'sftp://host:22/backups', 'file:///backups']);
});

test.each([
  [{}, {}, 'StorageConfigInvalid'],
  [{ directory: { path: '/a' }, s3: { bucket: 'b' } }, {}, 'StorageConfigInvalid'],
  [{ s3: { bucket: 'bucket' } }, { accessKeyId: 'AKIA' }, 'SecretInvalid'],
  [{ sftp: { host: 'h', path: '/', hostKeys: [pin] } }, { password: 'p' }, 'SecretInvalid'],
  [{ sftp: { host: 'h', path: '/', hostKeys: [pin] } }, { username: 'u' }, 'SecretInvalid'],
  [{ sftp: { host: 'h', path: '/', hostKeys: [] } }, { username: 'u', password: 'p' }, 'StorageConfigInvalid'],
  [
    { sftp: { host: 'h', path: '/', hostKeys: ['nonsense'] } },
    { username: 'u', password: 'p' },
    'StorageConfigInvalid',
  ],
])('refuses %j with %j', async (place, credentials, reason) => {
  await expect(openStorage(place, credentials, tools)).rejects.toMatchObject({ reason });
});

const keyPair = { accessKeyId: 'AKIA', secretAccessKey: 'secret' };

test.each([
  [{ accessKeyId: 'AK\nIA' }, 'access key id'],
  [{ accessKeyId: 'AK IA' }, 'access key id'],
  [{ accessKeyId: '"AKIA"' }, 'access key id stands in quotes'],
  [{ secretAccessKey: 'sec\r\nret' }, 'secret access key'],
  [{ secretAccessKey: "'secret'" }, 'secret access key stands in quotes'],
  [{ sessionToken: 'to\nken' }, 'session token'],
])('a key of S3 that is none is SecretInvalid before anything is asked: %j', async (keys, words) => {
  await expect(openStorage({ s3: { bucket: 'bucket' } }, { ...keyPair, ...keys }, tools)).rejects.toMatchObject({
    reason: 'SecretInvalid',
    message: expect.stringContaining(words) as string,
  });
});

test('blanks and line breaks around a key of S3 are no part of it', async () => {
  const spoiled = { accessKeyId: ' AKIA\r\n\n', secretAccessKey: 'sec ret\n ', sessionToken: '\ttoken\n' };
  await (await openStorage({ s3: { bucket: 'bucket' } }, spoiled, tools)).close();
});

test('loads only the driver that is needed', async () => {
  const url = new URL('../../src/storage/open.ts', import.meta.url).href;
  const clock = new URL('../../src/support/clock.ts', import.meta.url).href;
  const program = `
    import { registerHooks } from 'node:module';
    const loaded = [];
    registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
    const { openStorage } = await import(${JSON.stringify(url)});
    const { systemClock: clock, systemRandom: random } = await import(${JSON.stringify(clock)});
    await openStorage({ directory: { path: '/tmp' } }, {}, { clock, random });
    console.log(JSON.stringify(loaded.filter((url) => /aws-sdk|ssh2/.test(url))), loaded.length > 5);
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  expect(stdout.trim()).toBe('[] true');
});
