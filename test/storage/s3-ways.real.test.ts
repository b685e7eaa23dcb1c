import { createServer, request as send, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStorage } from '../../src/storage/open.ts';
import { openS3 } from '../../src/storage/s3.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { type Authority, makeAuthority } from '../servers/certificates.ts';
import { type S3Server, startS3 } from '../servers/s3.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { digest, patternBody, readText, textBody } from '../suites/bodies.ts';
import { go, MiB, useScriptedS3 } from './s3-stand.ts';

const versitygw = process.env['VERSITYGW'];
const tools = { clock: systemClock, random: systemRandom };
const stand = useScriptedS3();

describe('through an HTTP proxy', () => {
  let proxy: Server;
  let seen: string[] = [];
  const tunnels: Duplex[] = [];
  let url = '';
  let target = 0;

  beforeAll(async () => {
    // Wherever it is asked to go, it goes to the one server.
    proxy = createServer((incoming, response) => {
      const { pathname, search } = new URL(incoming.url ?? '');
      seen.push(`${incoming.method} ${incoming.url}`);
      const { method, headers } = incoming;
      const onward = send({ host: '127.0.0.1', port: target, method, headers, path: pathname + search }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      incoming.pipe(onward.on('error', () => response.destroy()));
    }).on('connect', (incoming, socket) => {
      seen.push(`CONNECT ${incoming.url}`);
      tunnels.push(socket);
      const onward = connect(target, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        socket.pipe(onward).pipe(socket);
      }).on('error', () => socket.destroy());
      socket.on('error', () => onward.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  });
  afterAll(async () => {
    for (const tunnel of tunnels) tunnel.destroy();
    const closed = new Promise((resolve) => proxy.close(resolve));
    proxy.closeAllConnections();
    await closed;
  });

  test('an http endpoint is reached whose name only the proxy knows', async () => {
    seen = [];
    target = Number(new URL(stand.server.endpoint).port);
    const storage = stand.open({ endpoint: 'http://s3.example.invalid', proxy: { HTTP_PROXY: url } });
    await storage.put('big', patternBody(20 * MiB), {}, go);
    expect(await digest(storage.get('big', undefined, go))).toBe(await digest(patternBody(20 * MiB)));
    expect(seen.length).toBe(stand.server.requests.length);
    expect(seen[0]).toMatch(/^GET http:\/\/s3\.example\.invalid\/bucket/);
  });

  test('nothing goes to hosts that NO_PROXY names, or for a scheme without one', async () => {
    seen = [];
    const direct = stand.open({ proxy: { HTTP_PROXY: url, NO_PROXY: 'localhost,127.0.0.1' } });
    await direct.put('a', textBody('x'), {}, go);
    await stand.open({ proxy: { HTTPS_PROXY: url } }).put('b', textBody('x'), {}, go);
    expect([...stand.server.objects.keys()]).toEqual(['a', 'b']);
    expect(seen).toEqual([]);
  });

  test.each([
    ['127.0.0.0/8', 'http://127.0.0.1:1'],
    ['10.0.0.0/8 , 127.0.0.1/32', 'http://127.0.0.1:1'],
    ['0.0.0.0/0', 'http://127.0.0.1:1'],
    ['example.invalid', 'http://s3.example.invalid'],
    ['example.invalid', 'http://example.invalid'],
    ['.example.invalid', 'http://s3.example.invalid'],
    ['*', 'http://s3.example.invalid'],
  ])('nothing goes that NO_PROXY means by "%s"', async (list, endpoint) => {
    seen = [];
    const storage = stand.open({ endpoint, proxy: { HTTP_PROXY: url, NO_PROXY: list } });
    await expect(storage.stat('a', go)).rejects.toMatchObject({ reason: 'StorageUnreachable' });
    expect(seen).toEqual([]);
  });

  test.each([
    '10.0.0.0/8',
    '127.0.0.2/32',
    '126.0.0.0/8',
    'other.invalid',
    'invalid.example',
    'le.invalid',
    '::1/128',
    '',
  ])('all goes that NO_PROXY does not mean by "%s"', async (list) => {
    seen = [];
    for (const endpoint of [stand.server.endpoint, 'http://s3.example.invalid'])
      await stand
        .open({ endpoint, proxy: { HTTP_PROXY: url, NO_PROXY: list } })
        .stat('a', go)
        .catch(() => undefined);
    expect(new Set(seen.map((line) => line.split('/')[2])).size).toBe(2);
  });

  test('that does not answer, the storage is unreachable', async () => {
    const storage = stand.open({ endpoint: 'http://s3.example.invalid', proxy: { HTTP_PROXY: 'http://127.0.0.1:1' } });
    await expect(storage.stat('a', go)).rejects.toMatchObject({ reason: 'StorageUnreachable' });
    const tls = stand.open({ endpoint: 'https://s3.example.invalid', proxy: { HTTPS_PROXY: stand.server.endpoint } });
    await expect(tls.stat('a', go)).rejects.toMatchObject({ reason: 'StorageUnreachable' });
  });

  test('whose address cannot be read says so without its password', () => {
    const failure = (() => {
      try {
        stand.open({ proxy: { HTTP_PROXY: 'http://user:secret word@:x:y' } });
      } catch (error) {
        return error;
      }
      return undefined;
    })();
    expect(failure).toMatchObject({ reason: 'StorageConfigInvalid' });
    expect(JSON.stringify(failure, Object.getOwnPropertyNames(failure))).not.toContain('secret');
  });

  describe('and TLS', () => {
    let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
    let authority: Authority;
    let server: S3Server | undefined;

    beforeAll(async () => {
      if (versitygw === undefined) return;
      folder = await makeTemporaryFolder();
      authority = await makeAuthority(join(folder.path, 'authority'));
      const tls = await authority.issue({ host: 's3.example.invalid' });
      server = await startS3({ dir: join(folder.path, 'server'), versitygw, tls });
      await server.createBucket('backups');
    });
    afterAll(async () => {
      await server?.stop();
      await folder?.remove();
    });

    test('an https endpoint is reached through a tunnel, with its own authority', async ({ skip }) => {
      skip(server === undefined, 'fauxqs has no TLS; VERSITYGW is not set');
      seen = [];
      target = Number(new URL(server?.endpoint ?? '').port);
      const { accessKeyId = '', secretAccessKey = '' } = server ?? {};
      const options = {
        bucket: 'backups',
        endpoint: 'https://s3.example.invalid',
        forcePathStyle: true,
        credentials: { accessKeyId, secretAccessKey },
        proxy: { HTTPS_PROXY: url },
      };
      const storage = openS3({ ...options, ca: authority.ca }, tools);
      const stored = await storage.put('a/b', patternBody(20 * MiB), {}, go);
      expect(stored).toMatchObject({ bytes: 20 * MiB, proven: true });
      expect(await digest(storage.get('a/b', undefined, go))).toBe(await digest(patternBody(20 * MiB)));
      expect(new Set(seen)).toEqual(new Set(['CONNECT s3.example.invalid:443']));
      await storage.close();
      const unknown = openS3(options, tools);
      await expect(unknown.stat('a/b', go)).rejects.toMatchObject({ reason: 'TlsFailed' });
      await unknown.close();
    });
  });
});

describe('an own authority', () => {
  const begin = '-----BEGIN CERTIFICATE-----';
  const end = '-----END CERTIFICATE-----';

  test.each([
    ['is no PEM', 'MIIB…'],
    ['is empty but for blanks', ' \n '],
    ['is a key', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----'],
    ['is cut off', `${begin}\nMIIB`],
    ['holds nonsense', `${begin}\nAAAA\n${end}`],
  ])('that %s is SecretInvalid', async (_, ca) => {
    const place = { s3: { bucket: 'bucket', endpoint: 'https://127.0.0.1:1' } };
    await expect(openStorage(place, { ca }, tools)).rejects.toMatchObject({
      reason: 'SecretInvalid',
      hint: expect.stringContaining('PEM'),
    });
  });

  test('is found between words, and several of them', async () => {
    const folder = await makeTemporaryFolder();
    const one = await makeAuthority(join(folder.path, 'one'));
    const two = await makeAuthority(join(folder.path, 'two'), 'two');
    const place = { s3: { bucket: 'bucket', endpoint: 'https://127.0.0.1:1' } };
    const storage = await openStorage(place, { ca: `\uFEFFOurs:\r\n${one.ca}\r\n# and\n${two.ca}` }, tools);
    await storage.close();
    await folder.remove();
  });
});

describe('credentials that have run out', () => {
  const token = (value: string) => ({ accessKeyId: 'AKIATEST', secretAccessKey: 'very-secret', sessionToken: value });
  const wants = (value: string) => {
    stand.server.script = ({ headers }) => {
      if (headers['x-amz-security-token'] === value) return undefined;
      return { status: 400, code: 'ExpiredToken' };
    };
  };

  test('are read again where they came from, in the middle of a put', async () => {
    let held = 'first';
    let read = 0;
    const renew = async () => {
      read += 1;
      return token(held);
    };
    wants('first');
    const storage = stand.open({ credentials: token('first'), renew });
    async function* body() {
      yield* patternBody(20 * MiB);
      held = 'second';
      wants('second');
    }
    expect((await storage.put('big', body(), {}, go)).bytes).toBe(20 * MiB);
    expect(read).toBeGreaterThan(0);
    expect((await storage.stat('big', go))?.bytes).toBe(20 * MiB);
    held = 'third';
    wants('third');
    expect((await storage.stat('big', go))?.bytes).toBe(20 * MiB);
    expect(await readText(storage.get('big', { start: 0, end: 3 }, go))).toHaveLength(4);
  });

  test('and were not renewed fail at once, after one look', async () => {
    let read = 0;
    wants('second');
    const renew = async () => {
      read += 1;
      return token('first');
    };
    const storage = stand.open({ credentials: token('first'), renew });
    await expect(storage.put('a', textBody('x'), {}, go)).rejects.toMatchObject({
      reason: 'StorageCredentialsInvalid',
    });
    expect(read).toBe(1);
    expect(stand.count('list')).toBe(1);
  });

  test('and cannot be read again fail with the refusal of the store', async () => {
    wants('second');
    const renew = () => Promise.reject(new Error('the Secret is gone'));
    const storage = stand.open({ credentials: token('first'), renew });
    await expect(storage.stat('a', go)).rejects.toMatchObject({ reason: 'StorageCredentialsInvalid' });
  });
});

test.each([-3, 3])('a clock that is %i hours off follows the server', async (hours) => {
  const serverNow = () => Date.now() + hours * 3_600_000;
  stand.server.script = ({ headers }) => {
    const [, date = '', time = ''] = /^(\d{8})T(\d{6})Z$/.exec(String(headers['x-amz-date'])) ?? [];
    const signed = Date.parse(
      `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}T${time.slice(0, 2)}:${time.slice(2, 4)}:${time.slice(4)}Z`,
    );
    const now = { date: new Date(serverNow()).toUTCString() };
    if (Math.abs(signed - serverNow()) < 900_000) return { headers: now };
    return { status: 403, code: 'RequestTimeTooSkewed', with: now };
  };
  expect(await stand.storage.stat('a', go)).toBeUndefined();
  await stand.putBig();
  expect(stand.server.objects.get('big')?.length).toBe(20 * MiB);
  const skewed = stand.server.requests.length;
  await stand.storage.stat('big', go);
  expect(stand.server.requests.length).toBe(skewed + 1);
});
