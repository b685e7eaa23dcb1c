import type { BackupPolicySpec } from '../api/backup-policy.ts';
import type { BackupLocation } from '../api/kinds.ts';
import type { FailureReason } from '../api/reasons.ts';
import type { Read } from './world/read-object.ts';

export interface UsableDestination {
  readonly location: BackupLocation;
  readonly required: boolean;
}

export interface DestinationProblem {
  readonly location: string;
  readonly required: boolean;
  readonly reason: FailureReason;
  readonly message: string;
}

/** Which destinations a run can be sent to, and what keeps it from the others. */
export interface Destinations {
  readonly usable: readonly UsableDestination[];
  readonly problems: readonly DestinationProblem[];
  /** Why no run can start: a required destination cannot be used, or none can. */
  readonly blocking: DestinationProblem | undefined;
}

/** A best-effort destination that cannot be used blocks nothing as long as there is another one: a mirror never stops the main copy. */
export function checkDestinations(
  { destinations, ...policy }: Pick<BackupPolicySpec, 'destinations' | 'encryption' | 'signing'>,
  locations: ReadonlyMap<string, Read<BackupLocation>>,
  claimRequired: boolean,
): Destinations {
  const usable: UsableDestination[] = [];
  const problems: DestinationProblem[] = [];
  for (const { location: name, required } of destinations) {
    const found = locations.get(name);
    const problem = findProblem(name, found, claimRequired, policy);
    if (problem !== undefined) problems.push({ location: name, required, ...problem });
    else if (found !== undefined) usable.push({ location: found.object, required });
  }
  const blocking = problems.find(({ required }) => required) ?? (usable.length === 0 ? problems[0] : undefined);
  return { usable, problems, blocking };
}

function findProblem(
  name: string,
  found: Read<BackupLocation> | undefined,
  claimRequired: boolean,
  policy: Pick<BackupPolicySpec, 'encryption' | 'signing'>,
): Problem | undefined {
  const problem = findLocationProblem(name, found, claimRequired);
  if (problem !== undefined || found === undefined) return problem;
  const { accessMode, encryption, signatures } = found.object.spec;
  if (accessMode === 'ReadOnly')
    return { reason: 'LocationReadOnly', message: `BackupLocation ${name} has accessMode ReadOnly` };
  if (encryption === 'Required' && policy.encryption === undefined)
    return { reason: 'EncryptionRequired', message: `BackupLocation ${name} takes encrypted backups only` };
  if (signatures !== undefined && policy.signing === undefined)
    return { reason: 'SigningRequired', message: `BackupLocation ${name} takes signed backups only` };
  return undefined;
}

interface Problem {
  readonly reason: FailureReason;
  readonly message: string;
}

/** What keeps a location from being opened, be it only for reading. */
export function findLocationProblem(
  name: string,
  found: Read<BackupLocation> | undefined,
  claimRequired: boolean,
): Problem | undefined {
  if (found === undefined || found.object.metadata.deletionTimestamp !== undefined) {
    return { reason: 'LocationMissing', message: `there is no BackupLocation ${name}` };
  }
  if (found.fault !== undefined) {
    return { reason: 'SpecInvalid', message: `BackupLocation ${name} cannot be read: ${found.fault}` };
  }
  const { spec } = found.object;
  if (claimRequired && spec.directory !== undefined && spec.directory.claimName === undefined) {
    return { reason: 'ClaimRequired', message: `BackupLocation ${name} has no directory.claimName` };
  }
  return undefined;
}
