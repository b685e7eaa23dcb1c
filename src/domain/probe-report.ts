import { z } from 'zod';
import { placeOffers } from '../api/probe.ts';

const size = z.int().min(0);

export const latencies = z.object({
  putMilliseconds: z.number().optional(),
  getMilliseconds: z.number().optional(),
  listMilliseconds: z.number().optional(),
  deleteMilliseconds: z.number().optional(),
  conditionalPutMilliseconds: z.number().optional(),
  multipartMilliseconds: z.number().optional(),
  abortMilliseconds: z.number().optional(),
});

/** What a probe found out besides that the place can be used; absent what was not looked at. */
export const offers = z.object({
  conditions: z.enum(placeOffers.conditions).optional(),
  overwrites: z.enum(placeOffers.overwrites).optional(),
  deletes: z.enum(placeOffers.deletes).optional(),
  unfinishedUploads: size.optional(),
});
