import { mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { libpqEnvironment } from '../../src/postgres/libpq-environment.ts';
import type { Server } from '../../src/postgres/server.ts';

const server: Server = {
  host: 'db',
  port: 5433,
  user: 'u',
  password: String.raw`a:b\c`,
  tls: { mode: 'verify-full', ca: 'CA PEM', clientCertificate: 'CERT PEM', clientKey: 'KEY PEM' },
  database: 'postgres',
};
let dir = '';
beforeEach(async () => {
  dir = join(await mkdtemp(join(tmpdir(), 'pgbackup-')), 'libpq');
});
afterEach(() => rm(join(dir, '..'), { recursive: true }));

test('secrets are in files that only we can read, and not in the environment', async () => {
  const environment = await libpqEnvironment(server, dir);
  expect(JSON.stringify(environment)).not.toMatch(/a:b|CA PEM|CERT PEM|KEY PEM/);
  expect((await stat(dir)).mode & 0o777).toBe(0o700);
  for (const name of await readdir(dir)) expect((await stat(join(dir, name))).mode & 0o777).toBe(0o600);
  expect(await readFile(environment['PGPASSFILE'] ?? '', 'utf8')).toBe('*:*:*:*:a\\:b\\\\c\n');
  expect(await readFile(environment['PGSSLROOTCERT'] ?? '', 'utf8')).toBe('CA PEM');
  expect(await readFile(environment['PGSSLKEY'] ?? '', 'utf8')).toBe('KEY PEM');
  expect(environment).toMatchObject({
    PGHOST: 'db',
    PGPORT: '5433',
    PGUSER: 'u',
    PGSSLMODE: 'verify-full',
    LC_ALL: 'C',
  });
});

test('without an authority those of Node count', async () => {
  const environment = await libpqEnvironment({ ...server, tls: { mode: 'verify-full' } }, dir);
  expect(await readFile(environment['PGSSLROOTCERT'] ?? '', 'utf8')).toContain('BEGIN CERTIFICATE');
});

test('a password with a line break is refused and not shown', async () => {
  const attempt = libpqEnvironment({ ...server, password: 'TOPSECRET\n' }, dir);
  await expect(attempt).rejects.toMatchObject({ reason: 'SecretInvalid', message: 'the password holds a line break' });
});
