import type { ArtifactName } from './layout.ts';

/** What a message in storage belongs to, as its head says and its key proves; not secret. */
export type EncryptionContext = Readonly<Record<string, string>>;

export interface OfBackup {
  readonly namespace: string;
  readonly policy: { readonly name: string };
  readonly backup: { readonly id: string; readonly uid: string };
}

/** Of the key of a backup. */
export function contextOfKey({ namespace, policy, backup }: OfBackup): EncryptionContext {
  return {
    'pgbackup:namespace': namespace,
    'pgbackup:policy': policy.name,
    'pgbackup:backup': backup.id,
    'pgbackup:uid': backup.uid,
  };
}

/** Of one artifact: no other database's can stand in its place. */
export function contextOfArtifact(of: OfBackup, name: ArtifactName): EncryptionContext {
  return {
    ...contextOfKey(of),
    ...('database' in name ? { 'pgbackup:database': name.database } : { 'pgbackup:globals': 'true' }),
  };
}
