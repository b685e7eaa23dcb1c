import { toFailure, type Failure } from '../../api/failure.ts';
import { manifestMaxBytes, parseManifest, type Manifest } from '../../domain/manifest.ts';
import { pause } from '../../storage/attempt.ts';
import type { Storage } from '../../storage/storage.ts';
import { readSmall } from '../read-small.ts';
import type { Workshop } from '../workshop.ts';

/** What stands under a manifest's key, compared with ours. */
export type Standing =
  | { readonly is: 'ours' }
  | { readonly is: 'absent' }
  | { readonly is: 'theirs'; readonly manifest: Manifest; readonly bytes: Buffer }
  | { readonly is: 'damaged' }
  | { readonly is: 'unknown'; readonly failure: Failure };

/** Five to eight seconds in all. */
const patience = { attempts: 5, firstDelayMs: 500, longestDelayMs: 8_000 };

export async function look(storage: Storage, key: string, ours: Buffer, signal: AbortSignal): Promise<Standing> {
  let bytes: Buffer;
  try {
    bytes = await readSmall(storage, key, manifestMaxBytes, signal);
  } catch (error) {
    const failure = toFailure(error);
    if (failure.reason === 'ObjectMissing') return { is: 'absent' };
    return { is: 'unknown', failure };
  }
  if (bytes.equals(ours)) return { is: 'ours' };
  try {
    return { is: 'theirs', manifest: parseManifest(key, bytes.toString('utf8')), bytes };
  } catch {
    return { is: 'damaged' };
  }
}

/** Looks again while it is absent: a place may say so for a moment after it took the object. */
export async function lookFor(
  storage: Storage,
  key: string,
  ours: Buffer,
  { clock, random }: Pick<Workshop, 'clock' | 'random'>,
  signal: AbortSignal,
): Promise<Standing> {
  for (let looks = 1; ; looks += 1) {
    const standing = await look(storage, key, ours, signal);
    if (standing.is !== 'absent' || looks === patience.attempts) return standing;
    try {
      await pause(looks, { ...patience, clock, random }, signal);
    } catch (error) {
      return { is: 'unknown', failure: toFailure(error) };
    }
  }
}
