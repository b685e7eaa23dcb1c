import type { BackupLocation } from '../../api/kinds.ts';
import { markLength, type KnownManifests } from '../../domain/known-manifests.ts';
import type { HeldAfter } from '../world/held-manifests.ts';

/**
 * The manifests of a location after a key that an earlier inspection has read and whose Backup objects have it all, in at most so many
 * bytes. With `until` there are more after that key, for the next page. Undefined: none.
 */
export function listKnown(
  { status }: BackupLocation,
  heldAfter: HeldAfter,
  maxBytes: number,
): KnownManifests | undefined {
  const most = Math.floor(maxBytes / markLength);
  const marks: string[] = [];
  let until = '';
  if (most < 1) return undefined;
  for (const [key, { mark }] of heldAfter(status?.catalogue?.after ?? '')) {
    if (mark === undefined) continue;
    if (marks.length === most) return { marks: marks.join(''), until };
    marks.push(mark);
    until = key;
  }
  return marks.length === 0 ? undefined : { marks: marks.join('') };
}
