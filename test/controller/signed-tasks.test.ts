import { expect, test } from 'vitest';
import { buildBackupTask, nameClaims, taskLocation } from '../../src/controller/backup/task.ts';
import { listSecrets } from '../../src/controller/run/runner-job.ts';
import { makeSigningPair } from '../../src/encryption/make-key-pair.ts';
import { buildBackup, buildLocation, buildPolicy } from '../builders/objects.ts';

const s3 = { bucket: 'abc', region: 'x' };

test('a runner is told by whom manifests of a location must be signed, and nothing where nobody is named', () => {
  const { publicKey } = makeSigningPair();
  const location = buildLocation({ spec: { s3, signatures: { publicKeys: [publicKey] } } });
  expect(taskLocation(location, nameClaims([location], true)).signedBy).toEqual([publicKey]);
  expect(taskLocation(buildLocation({ spec: { s3 } }), new Map())).not.toHaveProperty('signedBy');
});

test('a runner gets the Secrets of what it signs with, and of AWS KMS, by the keys that are named', () => {
  const kms = {
    keyId: 'alias/backups',
    region: 'eu-west-1',
    credentials: { secretName: 'kms', keys: { accessKeyId: 'id' } },
    ca: { secretName: 'kms-ca' },
  };
  const policy = buildPolicy({
    spec: { signing: { key: { secretName: 'signer' } }, encryption: { recipients: [{ kms }] } },
  });
  const task = buildBackupTask(buildBackup(), policy, [], new Map(), undefined);
  expect(task.signing).toEqual({ key: { secretName: 'signer', keys: { signingKey: 'signing-key.pem' } } });
  expect(task.encryption?.recipients[0]?.kms).toMatchObject({ keyId: 'alias/backups', region: 'eu-west-1' });
  expect(listSecrets(task)).toEqual(
    expect.arrayContaining([
      { secretName: 'signer', keys: ['signing-key.pem'] },
      { secretName: 'kms', keys: ['id', 'secretAccessKey', 'sessionToken'] },
      { secretName: 'kms-ca', keys: ['ca.crt'] },
    ]),
  );
});
