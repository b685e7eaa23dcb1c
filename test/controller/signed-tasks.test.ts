import { expect, test } from 'vitest';
import { nameClaims, taskLocation } from '../../src/controller/backup/task.ts';
import { makeSigningPair } from '../../src/encryption/make-key-pair.ts';
import { buildLocation } from '../builders/objects.ts';

test('a runner is told by whom manifests of a location must be signed, and nothing where nobody is named', () => {
  const { publicKey } = makeSigningPair();
  const s3 = { bucket: 'abc', region: 'x' };
  const location = buildLocation({ spec: { s3, signatures: { mode: 'Required', publicKeys: [publicKey] } } });
  expect(taskLocation(location, nameClaims([location], true)).signedBy).toEqual([publicKey]);
  expect(taskLocation(buildLocation({ spec: { s3 } }), new Map())).not.toHaveProperty('signedBy');
});
