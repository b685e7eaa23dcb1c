import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startLocalStand, writeFiles, type LocalStand } from './local-stand.ts';

const { publicKey, privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
let stand: LocalStand;
beforeAll(async () => {
  stand = await startLocalStand();
});
afterAll(async () => stand.stop());

const policy = (): string =>
  stand.yaml(`  encryption:
    recipients:
      - publicKeyFrom: { secretName: recipient }
---
apiVersion: v1
kind: Secret
metadata: { name: recipient }
stringData: ${JSON.stringify({ 'public-key.pem': publicKey })}
`);
const request = (name: string, identities: string): string => `${policy()}---
apiVersion: v1
kind: Secret
metadata: { name: identity }
stringData: ${JSON.stringify({ 'private-key.pem': privateKey })}
---
apiVersion: pgbackup.dev/v1beta1
kind: RestoreRequest
metadata: { name: ${name} }
spec:
  source: { policy: { name: nightly, latest: true }${identities} }
  target:
    postgres: { host: 127.0.0.1, port: ${stand.server.port}, tls: { mode: disable }, credentials: { secretName: db } }
    database: back
  mode: Create
`;
const restore = (yaml: string) => stand.start(['local', 'restore', '-', '--state-dir', stand.stateDir], yaml);

test('a policy that encrypts stores nothing plain, and its restore needs the private key', async () => {
  const backup = stand.start(['local', '-', '--once', '--state-dir', stand.stateDir], policy());
  expect(await backup.exitCode, backup.stderr()).toBe(0);
  const files = readdirSync(stand.disk, { recursive: true, encoding: 'utf8', withFileTypes: true }).filter((one) =>
    one.isFile(),
  );
  expect(files.map(({ name }) => name).sort()).toEqual([
    'globals.sql.zst.enc',
    'key.enc',
    'manifest.json',
    'shop.dump.zst.enc',
  ]);

  const without = restore(request('without', ''));
  expect(await without.exitCode, without.stdout()).toBe(77);
  expect(without.stdout()).toContain('IdentityMissing');
  expect(without.stdout()).toMatch(/it is for rsa:[0-9a-f]{64}/);

  const back = restore(request('back', ', identities: [{ privateKey: { secretName: identity } }]'));
  expect(await back.exitCode, back.stdout() + back.stderr()).toBe(0);
  expect(await stand.server.sql('SELECT count(*)::int AS rows FROM orders', 'back')).toEqual([{ rows: 20_000 }]);
  // For another key from now on: the old one opens nothing any more, and data was not written again.
  const other = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  await writeFiles(stand.folder, { 'old.pem': privateKey, 'other.pub': other.publicKey });
  const args = ['rewrap', '-', '--policy', 'nightly', '--identity', 'old.pem', '--recipient', 'other.pub'];
  const rewrapped = stand.start(args, policy());
  expect(await rewrapped.exitCode, rewrapped.stderr()).toBe(0);
  await stand.server.sql('DROP DATABASE back');
  const closed = restore(request('closed', ', identities: [{ privateKey: { secretName: identity } }]'));
  expect(await closed.exitCode, closed.stdout()).toBe(77);
  const identity = request('again', ', identities: [{ privateKey: { secretName: identity } }]').replaceAll(
    JSON.stringify(privateKey),
    JSON.stringify(other.privateKey),
  );
  const again = restore(identity);
  expect(await again.exitCode, again.stdout() + again.stderr()).toBe(0);
  expect(await stand.server.sql('SELECT count(*)::int AS rows FROM orders', 'back')).toEqual([{ rows: 20_000 }]);
  const log = readFileSync(join(stand.stateDir, 'operator.log'), 'utf8');
  expect(log + back.stdout() + back.stderr()).not.toContain('PRIVATE KEY');
});
