import { z } from 'zod';
import { bytes, count, timestamp } from './parts.ts';

/** Folders that one inspection proposes. */
export const removableMax = 50;

/** What runs left at a location that no manifest names. */
export const remains = z
  .strictObject({
    objects: count().optional().meta({ description: 'Volumes that no manifest names, of runs that are over.' }),
    bytes: bytes().optional().meta({ description: 'Their size.' }),
    oldestTime: timestamp()
      .optional()
      .meta({ description: 'When the oldest of them was written, by the place’s clock.' }),
    unfinishedUploads: count()
      .optional()
      .meta({ description: 'Unfinished uploads and temporary files; absent where they cannot be listed.' }),
    removedObjects: count().optional().meta({ description: 'Volumes that inspections removed, in all.' }),
    removedBytes: bytes().optional().meta({ description: 'Their size.' }),
    removedUploads: count()
      .optional()
      .meta({ description: 'Unfinished uploads and temporary files that they removed.' }),
    removableFolders: z.array(z.string().min(3).max(98)).max(removableMax).optional().meta({
      description: 'Folders (policy/backup) whose old volumes the next inspection removes if it finds the same.',
      'x-kubernetes-list-type': 'atomic',
    }),
  })
  .meta({ description: 'What runs left there that no manifest names, by the last inspection that could tell.' });
