import { z } from 'zod';

const size = z.int().min(0);

/** What remains of runs, as an inspection tells it; absent what could not be found out. */
export const remainsSeen = z.object({
  /** Volumes that no manifest names. */
  objects: size.optional(),
  bytes: size.optional(),
  oldestTime: z.string().optional(),
  /** Unfinished uploads and temporary files of runs. */
  unfinishedUploads: size.optional(),
  removedObjects: size.optional(),
  removedBytes: size.optional(),
  removedUploads: size.optional(),
});
export type RemainsSeen = z.infer<typeof remainsSeen>;

/** Folders of backups (`policy/backup`) whose volumes may go: without a manifest that names them, and old. */
export const proposedRemains = z.object({
  kind: z.literal('remains'),
  folders: z.array(z.string()),
});
