import { Failure } from '../../../api/failure.ts';
import type { FailureReason } from '../../../api/reasons.ts';
import { gravestFailure } from '../../gravest-failure.ts';
import type { SourceWanted } from '../wanted.ts';

/** What lies in one copy or its place: another copy may be better. */
const ofOneCopy: ReadonlySet<FailureReason> = new Set([
  'BackupDamaged',
  'KeyDamaged',
  'SignatureInvalid',
  'SignatureMissing',
  'ObjectMissing',
  'StorageDenied',
  'StorageFailed',
  'StorageMissing',
  'StorageThrottled',
  'StorageUnreachable',
] as const);

export function isOfOneCopy({ reason }: Failure): boolean {
  return ofOneCopy.has(reason);
}

/** The same source with the copies that are left, or undefined when none is, or when another copy would not help. */
export function withoutCopy(
  wanted: SourceWanted,
  location: string | undefined,
  failure: Failure,
): SourceWanted | undefined {
  const { backup } = wanted;
  if (backup === undefined || location === undefined || !isOfOneCopy(failure)) return undefined;
  const copies = backup.copies.filter((copy) => copy.location.name !== location);
  return copies.length === 0 ? undefined : { ...wanted, backup: { ...backup, copies } };
}

/** How a restore ends whose copies were all tried: with the gravest of their failures, unless the last one lay elsewhere. */
export function noneLeft(passedOver: readonly Failure[], last: Failure): Failure {
  const [first, ...rest] = passedOver;
  if (first === undefined || !isOfOneCopy(last)) return last;
  const gravest = gravestFailure([first, ...rest, last]);
  return new Failure(gravest.reason, `no copy is left: ${gravest.message}`, {
    ...(gravest.hint === undefined ? {} : { hint: gravest.hint }),
    cause: gravest,
  });
}
