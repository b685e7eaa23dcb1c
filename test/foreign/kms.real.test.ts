import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { KMS } from '@aws-crypto/client-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Identity } from '../../src/encryption/identity.ts';
import { openKey } from '../../src/encryption/open-key.ts';
import type { Recipient } from '../../src/encryption/recipient.ts';
import { sealKey } from '../../src/encryption/seal-key.ts';
import { limitRequests } from '../../src/runner/limit-kms.ts';
import { systemClock } from '../../src/support/clock.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { foreignPrograms, whyMissing } from './programs.ts';
import { startMotoServer } from './start-s3.ts';

const script = fileURLToPath(new URL('../../scripts/foreign/open-message.py', import.meta.url));
const missing = whyMissing('moto');
describe.skipIf(missing !== undefined)(`AWS KMS as others play it (${missing ?? 'moto'})`, () => {
  const region = 'eu-central-1';
  const key = new Uint8Array(randomBytes(32));
  const of = { 'pgbackup:backup': 'nightly-1', 'pgbackup:namespace': 'shöp' };
  const random = (bytes: number): Uint8Array => new Uint8Array(randomBytes(bytes));
  let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
  let moto: Awaited<ReturnType<typeof startMotoServer>>;
  let kms: KMS;
  let arn: string;
  let identity: Identity;
  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    moto = await startMotoServer();
    const { endpoint, accessKeyId, secretAccessKey } = moto.door;
    kms = new KMS({ endpoint, region, credentials: { accessKeyId, secretAccessKey } });
    arn = (await kms.createKey({})).KeyMetadata?.Arn ?? '';
    await kms.createAlias({ AliasName: 'alias/backups', TargetKeyId: arn });
    identity = { kind: 'kms', access: access() };
  });
  afterAll(async () => {
    kms?.destroy();
    await moto?.stop();
    await folder?.remove();
  });

  const access = () => {
    const { endpoint, accessKeyId, secretAccessKey } = moto.door;
    return {
      endpoint,
      credentials: { accessKeyId, secretAccessKey },
      agents: { httpAgent: new HttpAgent(), httpsAgent: new HttpsAgent() },
      limit: limitRequests(systemClock, new AbortController().signal),
    };
  };
  const recipient = (keyId: string, where = region): Recipient => ({
    kind: 'kms',
    keyId,
    region: where,
    access: access(),
  });

  test('wraps and opens by id, ARN and alias, and records the ARN', async () => {
    for (const name of [arn, arn.split('/')[1] ?? '', 'alias/backups', arn.replace(/key\/.*/, 'alias/backups')]) {
      const sealed = await sealKey(key, [recipient(name)], of, random);
      expect(sealed.recipients).toEqual([arn]);
      expect(await openKey(sealed.bytes, [identity], of)).toEqual(key);
    }
  });

  test('refuses another context than the key was wrapped with', async () => {
    const forged = Buffer.from((await sealKey(key, [recipient(arn)], of, random)).bytes);
    forged.write('nightly-2', forged.indexOf('nightly-1'));
    const claim = { ...of, 'pgbackup:backup': 'nightly-2' };
    await expect(openKey(forged, [identity], claim)).rejects.toMatchObject({ reason: 'KeyDamaged' });
  });

  test('names a key that is not there, and one of another region', async () => {
    const absent = recipient('12345678-0000-4000-8000-000000000000');
    await expect(sealKey(key, [absent], of, random)).rejects.toMatchObject({ reason: 'KmsKeyMissing' });
    const elsewhere = recipient('alias/backups', 'us-east-1');
    await expect(sealKey(key, [elsewhere], of, random)).rejects.toMatchObject({ reason: 'KmsKeyMissing' });
  });

  test('holds the key of a backup that the AWS Encryption SDK for Python opens', async () => {
    await writeFile(join(folder.path, 'key.enc'), (await sealKey(key, [recipient('alias/backups')], of, random)).bytes);
    const { endpoint, accessKeyId, secretAccessKey } = moto.door;
    const command = '"$1" "$2" kms "$3" - < key.enc';
    const { stdout } = await promisify(execFile)('bash', ['-c', command, 'bash', foreignPrograms.python, script, arn], {
      cwd: folder.path,
      encoding: 'buffer',
      env: {
        PATH: '/usr/bin:/bin',
        AWS_ENDPOINT_URL_KMS: endpoint,
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
      },
    });
    expect(new Uint8Array(stdout)).toEqual(key);
  });
});
