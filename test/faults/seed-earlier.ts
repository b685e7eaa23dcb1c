import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { resources } from '../../src/controller/resources.ts';
import { namespace, never, type FaultStand } from './fault-stand.ts';
import type { PlaceUse } from './places.ts';
import { backupNamed, until } from './waiting.ts';

/** A committed backup, as files by the path below a policy's folder; the manifest is the last. */
export interface EarlierBackup {
  readonly policy: string;
  readonly files: readonly (readonly [key: string, bytes: Buffer])[];
}

/** One real backup, of which every case gets a copy as its earlier one. */
export async function makeEarlier(stand: FaultStand, database = 'rows'): Promise<EarlierBackup> {
  // Not named like the database: the name of the policy is another one in each copy.
  const policy = 'earlier-template';
  const place = await stand.makeFolder(policy);
  const { host, port } = stand.server;
  const spec = {
    source: {
      postgres: {
        host,
        port,
        tls: { mode: 'disable' },
        credentials: { secretName: 'admin' },
        databases: { names: [database] },
      },
    },
    destinations: [{ location: place.location }],
  };
  const { client } = stand.operator;
  const meta = (name: string) => ({ apiVersion: 'pgbackup.dev/v1beta1', metadata: { name, namespace } });
  await client.create(resources.policy, { ...meta(policy), kind: 'BackupPolicy', spec }, never);
  const name = `${policy}-first`;
  await client.create(resources.backup, { ...meta(name), kind: 'Backup', spec: { policy } }, never);
  await until('the first backup', () => backupNamed(stand.operator, name)?.status?.phase === 'Succeeded');
  return readEarlier(place.root, policy);
}

async function readEarlier(root: string, policy: string): Promise<EarlierBackup> {
  const folder = join(root, namespace, policy);
  const names = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  const isManifest = (name: string): boolean => name.endsWith('manifest.json');
  const ordered = [...names.filter((name) => !isManifest(name)), ...names.filter(isManifest)];
  const files = await Promise.all(ordered.map(async (name) => [name, await readFile(join(folder, name))] as const));
  if (!files.some(([name]) => isManifest(name))) throw new Error(`no backup below ${folder}`);
  return { policy, files };
}

/** Puts the same backup at a place as an earlier one of another policy. */
export async function seedEarlier(earlier: EarlierBackup, place: PlaceUse, policy: string): Promise<void> {
  for (const [name, bytes] of earlier.files) {
    const renamed = (text: string): string => text.replaceAll(earlier.policy, policy);
    const content = name.endsWith('manifest.json') ? Buffer.from(renamed(bytes.toString())) : bytes;
    await place.put(`${namespace}/${policy}/${renamed(name)}`, content);
  }
}
