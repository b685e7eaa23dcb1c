import { manifestKey } from '../src/domain/layout.ts';
import { parseManifest } from '../src/domain/manifest.ts';
import { openStorage } from '../src/storage/open.ts';
import { systemClock, systemRandom } from '../src/support/clock.ts';
import { backupTaskOf, pgSecret, runWith, s3Location, s3Secret } from '../test/runner/run-with.ts';
import type { S3Server } from '../test/servers/s3.ts';
import { databaseName, type BenchDatabase } from './bench-database.ts';
import { countRows } from './restore-contenders.ts';

/** A backup of the benchmark's database, in a bucket. */
export interface StoredBackup {
  readonly namespace: string;
  readonly id: string;
  readonly uid: string;
  readonly manifestKey: string;
  /** Of its only volume, with the location's prefix. */
  readonly key: string;
  readonly storedBytes: number;
  /** What `countRows` says of its source. */
  readonly rows: string;
}

/** Backs the database up once, by our runner in this process. @throws Error when it failed */
export async function storeBackup(
  folder: string,
  source: BenchDatabase,
  s3: S3Server,
  bucket: string,
): Promise<StoredBackup> {
  const location = s3Location('s3', s3, bucket);
  const prefix = location.place.s3?.prefix ?? '';
  const task = backupTaskOf(source, {
    databases: { names: [databaseName] },
    dump: { globals: false, rolePasswords: false, lockTimeoutSeconds: 60 },
    compression: { algorithm: 'zstd', level: 3 },
    destinations: [{ location, required: true }],
  });
  const secrets = { ...s3Secret(s3), ...pgSecret(source) };
  const { verdict, verdictText } = await runWith(folder, task, secrets, [source.binDir]);
  if (verdict.kind !== 'backup' || verdict.verdict !== 'Succeeded') throw new Error(`no backup: ${verdictText}`);
  const { namespace, policy, backup } = task;
  const key = manifestKey(namespace, policy.name, backup.name);
  const storage = await openStorage(
    { s3: { bucket, prefix, endpoint: s3.endpoint, forcePathStyle: true } },
    { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
    { clock: systemClock, random: systemRandom },
  );
  try {
    const chunks: Uint8Array[] = [];
    for await (const chunk of storage.get(key, undefined, new AbortController().signal)) chunks.push(chunk);
    const manifest = parseManifest(key, Buffer.concat(chunks).toString());
    const [volume, ...others] = manifest.databases[0]?.artifacts[0]?.volumes ?? [];
    if (volume === undefined || others.length > 0) throw new Error('the backup is not one volume');
    return {
      namespace,
      id: backup.name,
      uid: backup.uid,
      manifestKey: key,
      key: `${prefix}/${volume.key}`,
      storedBytes: volume.bytes,
      rows: await countRows(source),
    };
  } finally {
    await storage.close();
  }
}
