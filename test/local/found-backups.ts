import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseManifest } from '../../src/domain/manifest.ts';

export interface FoundBackup {
  readonly key: string;
  readonly id: string;
  readonly uid: string;
  readonly slot: string | undefined;
  readonly policy: string;
  /** Names of those that are stored. */
  readonly databases: readonly string[];
}

/** The committed backups below a folder, by id. Every manifest must be readable and stand where it says. */
export function findBackups(folder: string): readonly FoundBackup[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('/manifest.json'))
    .sort()
    .map((key) => {
      const { backup, policy, databases } = parseManifest(key, readFileSync(join(folder, key), 'utf8'));
      const stored = databases.filter(({ outcome }) => outcome === 'stored').map(({ name }) => name);
      return { key, id: backup.id, uid: backup.uid, slot: backup.slot, policy: policy.name, databases: stored };
    });
}
