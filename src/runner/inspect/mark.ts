import { createHash } from 'node:crypto';
import { markLength } from '../../domain/known-manifests.ts';
import type { ObjectStat } from '../../storage/storage.ts';

/**
 * What a listing says of an object, as 48 bits: the same bytes have it, and others have not. Undefined where the place says neither time
 * nor tag: size alone tells too little.
 * @param signedBy who must have signed it: what others signed before is looked at anew
 */
export function markOf(
  { key, bytes, modifiedAtMs, tag, target }: ObjectStat,
  signedBy?: readonly string[],
): string | undefined {
  if (modifiedAtMs === 0 && tag === undefined) return undefined;
  const told = JSON.stringify([key, bytes, modifiedAtMs, tag ?? '', target ?? '', ...(signedBy ?? [])]);
  return createHash('sha256').update(told).digest('base64url').slice(0, markLength);
}
