import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { attemptOf } from '../../src/domain/attempt.ts';
import {
  manifestKey,
  parseManifestKey,
  sealedKeyKey,
  signatureKey,
  volumeKey,
  type ArtifactName,
} from '../../src/domain/layout.ts';
import { listObjects, parseManifest, printManifest, type Manifest } from '../../src/domain/manifest.ts';
import type { PrunedBackup } from '../../src/domain/prune-report.ts';
import type { PruneVerdict } from '../../src/domain/report.ts';
import type { PruneTask } from '../../src/domain/task.ts';
import { prune } from '../../src/runner/prune/prune.ts';
import type { Workshop } from '../../src/runner/workshop.ts';
import { openDirectory } from '../../src/storage/directory.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { systemRandom } from '../../src/support/clock.ts';
import { listTree } from '../servers/temporary-folder.ts';
import { manifestOf } from './manifest-of.ts';
import { workshopOf } from './workshop-of.ts';

const dayMs = 24 * 3600 * 1000;
const firstMs = Date.parse('2026-01-01T03:00:00.000Z');
const minutes = 60_000;

export interface TestBackup {
  readonly manifest: Manifest;
  readonly key: string;
  /** All of it, the manifest last. */
  readonly objects: ReadonlyMap<string, string>;
  /** When the place took it. */
  readonly storedMs: number;
}

interface BackupOptions {
  readonly databases?: readonly string[];
  readonly globals?: boolean;
  /** And signed, so that it has all that a backup can have. */
  readonly isEncrypted?: boolean;
  readonly manifest?: Partial<Manifest>;
}

/** A whole backup of a day of January 2026, of one database (`orders`) in two volumes if nothing else is said. */
export function backupOf(day: number, options: BackupOptions = {}): TestBackup {
  const { databases = ['orders'], globals = false, isEncrypted = false } = options;
  const id = `nightly-${String(day).padStart(2, '0')}`;
  const [startedMs, completedMs] = [firstMs + day * dayMs, firstMs + day * dayMs + 10 * minutes];
  const uid = `uid-of-${id}`;
  const attempt = attemptOf('5eed5eed-0000', uid) ?? '';
  const base = manifestOf(id, {
    attempt,
    startedAt: new Date(startedMs).toISOString(),
    completedAt: new Date(completedMs).toISOString(),
  });
  const objects = new Map<string, string>();
  const folder = `shop/nightly/${id}/`;
  const artifactOf = (artifact: ArtifactName, count: number) => {
    const parts = Array.from({ length: count }, (_, index) => `${id} ${JSON.stringify(artifact)} ${index}`);
    const volumes = parts.map((content, index) => {
      const key = volumeKey(folder, attempt, artifact, { compression: 'none', isEncrypted }, index + 1);
      objects.set(key, content);
      return { key, ...digestOf(content) };
    });
    const whole = digestOf(parts.join(''));
    return { volumes, plain: whole, stored: whole, format: 'custom', compression: 'none' } as const;
  };
  const manifest: Manifest = {
    ...base,
    databases: databases.map((name) => ({
      name,
      outcome: 'stored',
      artifacts: [artifactOf({ database: name }, 2)],
    })),
    ...(globals ? { globals: artifactOf({ globals: true }, 1) } : {}),
    ...(isEncrypted
      ? {
          format: 2,
          encryption: { key: sealedKeyKey(folder, attempt), recipients: ['somebody'] },
          signature: { key: signatureKey(folder, attempt), keyId: 'ed25519:somebody' },
        }
      : {}),
    ...options.manifest,
  };
  if (isEncrypted) {
    objects.set(sealedKeyKey(folder, attempt), 'a key');
    objects.set(signatureKey(folder, attempt), 'a signature');
  }
  const key = manifestKey('shop', 'nightly', id);
  objects.set(key, printManifest(manifest));
  return { manifest, key, objects, storedMs: completedMs + 1000 };
}

function digestOf(content: string): { readonly bytes: number; readonly sha256: string } {
  return { bytes: Buffer.byteLength(content), sha256: createHash('sha256').update(content).digest('hex') };
}

/** As a task names it. */
export function named({ manifest }: TestBackup): PruneTask['remove'][number] {
  const bytes = Buffer.from(printManifest(manifest));
  return {
    id: manifest.backup.id,
    uid: manifest.backup.uid,
    manifestSha256: createHash('sha256').update(bytes).digest('hex'),
    attempt: manifest.attempt,
  };
}

/** Retention that removes these, and for which the last of `stays` is the newest. */
export function retentionOf(
  remove: readonly TestBackup[],
  stays: readonly TestBackup[],
  changes: Partial<PruneTask> = {},
): PruneTask {
  const short = ({ manifest }: TestBackup) => ({ id: manifest.backup.id, uid: manifest.backup.uid });
  const newest = stays.at(-1);
  return {
    version: 1,
    kind: 'prune',
    namespace: 'shop',
    policy: { name: 'nightly', uid: 'uid-of-nightly' },
    location: { name: 'place', place: { directory: { path: '/nonexistent' } } },
    accessMode: 'ReadWrite',
    why: 'retention',
    remove: remove.map(named),
    ...(newest === undefined ? {} : { newest: { ...short(newest), startedAt: newest.manifest.startedAt } }),
    floor: stays.map(short),
    waitForSecretSeconds: 1,
    ...changes,
  };
}

export function deletionOf(remove: readonly TestBackup[], changes: Partial<PruneTask> = {}): PruneTask {
  const { newest: _newest, floor: _floor, ...task } = retentionOf(remove, []);
  return { ...task, why: 'deletion', ...changes };
}

export interface PruneEnd {
  readonly verdict: PruneVerdict;
  readonly backups: readonly PrunedBackup[];
  readonly written: string;
}

/** Does a task at a storage, in this process. */
export async function pruneAt(storage: Storage, task: PruneTask, changes: Partial<Workshop> = {}): Promise<PruneEnd> {
  const workshop = workshopOf({ place: storage }, changes);
  const verdict = await prune(task, workshop);
  const backups = workshop.results().flatMap((line) => (line.kind === 'pruned' ? line.backups : []));
  return { verdict, backups, written: workshop.written() };
}

/** A folder with backups in it. */
export interface PruneStand {
  readonly folder: string;
  readonly place: Storage;
  lay(...backups: readonly TestBackup[]): Promise<void>;
  /** One object that the place took at a time. */
  put(key: string, content: string, storedMs: number): Promise<string>;
  /** All keys. */
  left(): Promise<readonly string[]>;
  /** Manifests that name a volume which is not there. */
  broken(): Promise<readonly string[]>;
  empty(): Promise<void>;
  stop(): Promise<void>;
}

export async function startPruneStand(): Promise<PruneStand> {
  const folder = await mkdtemp(join(tmpdir(), 'prune-'));
  const place = openDirectory({ path: folder }, { random: systemRandom });
  const put = async (key: string, content: string, storedMs: number): Promise<string> => {
    const path = join(folder, key);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
    await utimes(path, storedMs / 1000, storedMs / 1000);
    return key;
  };
  const go = new AbortController().signal;
  const left = async (): Promise<readonly string[]> =>
    (await listTree(folder)).flatMap((path) => (path.endsWith('/') ? [] : [path.slice(folder.length + 1)]));
  return {
    folder,
    place,
    put,
    lay: async (...backups) => {
      for (const { objects, storedMs } of backups) {
        for (const [key, content] of objects) await put(key, content, storedMs);
      }
    },
    left,
    broken: async () => {
      const keys = new Set(await left());
      const lacking: string[] = [];
      for (const key of keys) {
        if (parseManifestKey(key) === undefined) continue;
        let text = '';
        for await (const chunk of place.get(key, undefined, go)) text += Buffer.from(chunk).toString();
        if (listObjects(parseManifest(key, text)).some((each) => !keys.has(each.key))) lacking.push(key);
      }
      return lacking;
    },
    empty: async () => {
      await rm(folder, { recursive: true });
      await mkdir(folder);
    },
    stop: () => rm(folder, { recursive: true }),
  };
}
