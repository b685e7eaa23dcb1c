import { z } from 'zod';
import { count } from './parts.ts';

/** What may be done at a location. */
export const accessModes = ['ReadWrite', 'AppendOnly', 'ReadOnly'] as const;
/** The steps of a probe. */
export const probeOperations = ['put', 'get', 'list', 'delete', 'conditionalPut', 'multipart', 'abort'] as const;
/** What a probe finds out besides. */
export const placeOffers = {
  conditions: ['Kept', 'LookedUp', 'Ignored'],
  overwrites: ['Refused', 'Versioned', 'Replaced'],
  deletes: ['Refused', 'Allowed'],
} as const;

const milliseconds = () => z.number().min(0);

export const latencies = z
  .strictObject({
    putMilliseconds: milliseconds().optional(),
    getMilliseconds: milliseconds().optional(),
    listMilliseconds: milliseconds().optional(),
    deleteMilliseconds: milliseconds().optional(),
    conditionalPutMilliseconds: milliseconds().optional(),
    multipartMilliseconds: milliseconds().optional(),
    abortMilliseconds: milliseconds().optional(),
  })
  .meta({ description: 'What the last probe took.' });

export const probeErrors = z
  .strictObject({
    put: count(),
    get: count(),
    list: count(),
    delete: count(),
    conditionalPut: count().optional(),
    multipart: count().optional(),
    abort: count().optional(),
  })
  .meta({ description: 'Failed probes since the location was made, by operation.' });

export const offers = z
  .strictObject({
    conditions: z.enum(placeOffers.conditions).optional().meta({
      description:
        'Only-if-absent: Kept by the place in one step; LookedUp before, because the place refuses conditions; Ignored by the place, of two writers at once both succeed.',
    }),
    overwrites: z.enum(placeOffers.overwrites).optional().meta({
      description: 'AppendOnly: what becomes of an existing key that is put again: Refused, Versioned, or Replaced.',
    }),
    deletes: z.enum(placeOffers.deletes).optional().meta({ description: 'AppendOnly: whether the key may delete.' }),
    unfinishedUploads: count()
      .optional()
      .meta({ description: 'AppendOnly: uploads of probes that could not be aborted.' }),
  })
  .meta({ description: 'What probes found out about the place.' });
