import type { Workshop } from '../../workshop.ts';
import type { SourceWanted } from '../wanted.ts';
import type { RestoreSource } from './source.ts';

/** What is restored: chosen, and looked at. The code for the other kind of source is not even read: a runner's memory is bounded. */
export async function openSource(wanted: SourceWanted, workshop: Workshop): Promise<RestoreSource> {
  const { backup } = wanted;
  if (backup !== undefined) {
    const { openBackupSource } = await import('./backup-source.ts');
    return openBackupSource(wanted, backup, workshop);
  }
  const { openFileSource } = await import('./file-source.ts');
  return openFileSource(wanted, workshop);
}
