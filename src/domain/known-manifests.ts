import { z } from 'zod';

/** Of a manifest as a listing shows it: key, size, time and tag, hashed (runner/inspect/mark.ts). */
export const markLength = 8;

/** What an inspection need not read: marks of manifests, one after another. */
export const knownManifests = z.strictObject({
  marks: z.string().regex(/^([A-Za-z0-9_-]{8})*$/),
  /** More are known after this key; they are for the next page. */
  until: z.string().optional(),
});
export type KnownManifests = z.infer<typeof knownManifests>;

/** Which of them the page did not come upon, in lines of at most `unseenMax`; one line at least, else the page was not heard. */
export const unseenManifests = z.object({
  kind: z.literal('known'),
  unseen: z.array(z.string()),
});
export const unseenMax = 1000;

export function readMarks({ marks }: KnownManifests): readonly string[] {
  return Array.from({ length: marks.length / markLength }, (_, at) =>
    marks.slice(at * markLength, (at + 1) * markLength),
  );
}
