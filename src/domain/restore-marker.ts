import { z } from 'zod';
import type { RestoredSource } from '../api/restore-spec.ts';
import { fitSource, readSource } from './fit-source.ts';

/**
 * What stands in the comment of a database while a restore works on it. (A comment, because its owner may set it; a setting of our
 * own only a superuser.) It tells whoever comes after a death whose the database is, and what is still to be done.
 */
const marker = z.object({
  pgbackup: z.object({
    v: z.literal(1),
    /** uid of the request. */
    request: z.string(),
    target: z.string(),
    /** True on what has the target's name: the swap is done. */
    swapped: z.boolean(),
    /** Name under which the replaced database stays. */
    previous: z.string().optional(),
    source: z.unknown().transform(readSource).optional(),
  }),
  /** The comment that the database gets at the end. */
  comment: z.string().optional(),
});

export interface RestoreMarker {
  readonly request: string;
  readonly target: string;
  readonly swapped: boolean;
  readonly previous?: string | undefined;
  readonly source?: RestoredSource | undefined;
  readonly comment?: string | undefined;
}

export function printRestoreMarker({ comment, source, ...rest }: RestoreMarker): string {
  const told = source === undefined ? {} : { source: fitSource(source) };
  return JSON.stringify({ pgbackup: { v: 1, ...rest, ...told }, comment } satisfies z.input<typeof marker>);
}

/** The marker in a comment, or undefined when the comment is somebody else's. */
export function parseRestoreMarker(comment: string | undefined): RestoreMarker | undefined {
  if (comment === undefined || !comment.startsWith('{"pgbackup":')) return undefined;
  let content: unknown;
  try {
    content = JSON.parse(comment);
  } catch {
    return undefined;
  }
  const parsed = marker.safeParse(content);
  if (!parsed.success) return undefined;
  const { v: _v, ...rest } = parsed.data.pgbackup;
  return { ...rest, comment: parsed.data.comment };
}
