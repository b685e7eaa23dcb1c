import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { signatureKey } from '../../src/domain/layout.ts';
import { printManifest } from '../../src/domain/manifest.ts';
import { makeSigningPair } from '../../src/encryption/make-key-pair.ts';
import { readSigningKey, signManifest } from '../../src/encryption/signing-key.ts';
import { copyBetween, copyOf } from './copy-stand.ts';
import { backupOf, pruneAt, retentionOf, startPruneStand, type PruneStand, type TestBackup } from './prune-stand.ts';

const ours = makeSigningPair();
let stand: PruneStand;
let other: PruneStand;
beforeEach(async () => {
  stand = await startPruneStand();
  other = await startPruneStand();
});
afterEach(async () => {
  await stand.stop();
  await other.stop();
});

function signedOf(day: number): TestBackup {
  const { id } = backupOf(day).manifest.backup;
  const { attempt } = backupOf(day).manifest;
  const signature = { key: signatureKey(`shop/nightly/${id}/`, attempt), keyId: ours.name };
  return backupOf(day, { manifest: { signature } });
}
async function lay(...backups: readonly TestBackup[]): Promise<void> {
  await stand.lay(...backups);
  for (const { manifest } of backups) {
    if (manifest.signature === undefined) continue;
    const signed = signManifest(Buffer.from(printManifest(manifest)), readSigningKey(ours.privateKey));
    await writeFile(join(stand.folder, manifest.signature.key), signed);
  }
}
const location = { name: 'place', place: { directory: { path: '/nonexistent' } }, signedBy: [ours.publicKey] };

test('retention removes a backup whole, its signature too, for others that are signed', async () => {
  const [one, two] = [signedOf(1), signedOf(2)];
  await lay(one, two);
  const { verdict } = await pruneAt(stand.place, retentionOf([one], [two], { location }));
  expect(verdict).toMatchObject({ verdict: 'Succeeded' });
  expect((await stand.left()).filter((key) => key.includes('nightly-01'))).toEqual([]);
  expect(await stand.left()).toContain(two.manifest.signature?.key);
});

test('retention removes nothing for the sake of a newest backup, or others that stay, which are not signed', async () => {
  const [one, forged, two] = [signedOf(1), backupOf(2), signedOf(3)];
  await lay(one, forged);
  const before = await stand.left();
  const newest = await pruneAt(stand.place, retentionOf([one], [forged], { location }));
  expect(newest.verdict).toMatchObject({ reason: 'SignatureMissing' });
  expect(await stand.left()).toEqual(before);
  // Only the forged one holds what the first one holds.
  const elsewhere = backupOf(3, { databases: ['else'], manifest: { signature: two.manifest.signature } });
  await lay(elsewhere);
  const floor = await pruneAt(stand.place, retentionOf([one], [forged, elsewhere], { location }));
  expect(floor.backups).toMatchObject([{ reason: 'LastGoodCopy' }]);
  expect(await stand.left()).toContain(one.key);
});

test('a copy takes its signature along, and what is not signed is copied neither from nor to a place that asks for it', async () => {
  const [one, forged] = [signedOf(1), backupOf(2)];
  await lay(one, forged);
  const task = copyOf([one, forged]);
  for (const places of [{ from: { ...location, name: 'from' } }, { to: { ...location, name: 'to' } }]) {
    const { backups } = await copyBetween(stand.place, other.place, { ...task, ...places });
    expect(backups).toMatchObject([
      { id: 'nightly-01' },
      { id: 'nightly-02', outcome: 'SourceDamaged', reason: 'SignatureMissing' },
    ]);
    expect(new Set(await other.left())).toEqual(new Set([...one.objects.keys(), one.manifest.signature?.key]));
    await other.empty();
  }
  await rm(join(stand.folder, one.manifest.signature?.key ?? ''));
  const { backups } = await copyBetween(stand.place, other.place, {
    ...copyOf([one]),
    from: { ...location, name: 'from' },
  });
  expect(backups).toMatchObject([{ outcome: 'SourceDamaged', reason: 'SignatureMissing' }]);
});
