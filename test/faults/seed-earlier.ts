import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PlaceUse } from './places.ts';

/** A committed backup, as files by the path below a policy's folder; the manifest is the last. */
export interface EarlierBackup {
  readonly policy: string;
  readonly files: readonly (readonly [key: string, bytes: Buffer])[];
}

export async function readEarlier(root: string, namespace: string, policy: string): Promise<EarlierBackup> {
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
export async function seedEarlier(
  earlier: EarlierBackup,
  place: PlaceUse,
  namespace: string,
  policy: string,
): Promise<void> {
  for (const [name, bytes] of earlier.files) {
    const renamed = (text: string): string => text.replaceAll(earlier.policy, policy);
    const content = name.endsWith('manifest.json') ? Buffer.from(renamed(bytes.toString())) : bytes;
    await place.put(`${namespace}/${policy}/${renamed(name)}`, content);
  }
}
