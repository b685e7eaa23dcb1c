import type { Backup, BackupLocation } from '../../api/kinds.ts';
import { markLength, type KnownManifests } from '../../domain/known-manifests.ts';

/**
 * The manifests of a location after a key that an earlier inspection has read and whose Backup objects have it all, in at most so many
 * bytes. With `until` there are more after that key, for the next page. Undefined: none.
 */
export function listKnown(
  { metadata, status }: BackupLocation,
  backups: readonly Backup[],
  maxBytes: number,
): KnownManifests | undefined {
  const after = status?.catalogue?.after ?? '';
  const held: { readonly key: string; readonly mark: string }[] = [];
  for (const { status: known } of backups) {
    const found = known?.destinations?.find(({ location }) => location === metadata.name);
    const { manifestKey: key = '', listed: mark, outcome } = found ?? {};
    const isThere = outcome === 'Stored' || outcome === 'Found';
    if (isThere && mark?.length === markLength && key > after) held.push({ key, mark });
  }
  const most = Math.floor(maxBytes / markLength);
  if (held.length === 0 || most < 1) return undefined;
  if (held.length <= most) return { marks: printMarks(held) };
  const until = findUntil(
    held.map(({ key }) => key),
    most,
  );
  return { marks: printMarks(held.filter(({ key }) => key <= until)), until };
}

const printMarks = (held: readonly { readonly mark: string }[]): string => held.map(({ mark }) => mark).join('');

/** A key that at most so many of these are not after. A sample tells about where it is: to sort a hundred thousand takes long. */
function findUntil(keys: readonly string[], most: number): string {
  const step = Math.ceil(keys.length / 1000);
  const sample = keys.filter((_, index) => index % step === 0).toSorted();
  for (let at = Math.floor((sample.length * most * 0.9) / keys.length); at > 0; at = Math.floor(at * 0.8)) {
    const until = sample[at] ?? '';
    if (keys.filter((key) => key <= until).length <= most) return until;
  }
  return keys.toSorted()[most - 1] ?? '';
}
