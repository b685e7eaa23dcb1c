import type { LeavableKind } from '../api/restore-options.ts';

/** What the flags of `pgbackup local restore` say; see their help. */
export interface RestoreFlags {
  /** Only these RestoreRequests of the files; all if empty. */
  readonly requests: readonly string[];
  readonly restorePolicy: string | undefined;
  readonly backup: string | undefined;
  readonly policy: string | undefined;
  readonly latest: boolean;
  readonly at: string | undefined;
  readonly location: string | undefined;
  readonly file: string | undefined;
  readonly pattern: string | undefined;
  readonly member: string | undefined;
  readonly foreign: boolean;
  /** Name of a Secret with a uri. */
  readonly target: string | undefined;
  /** Name of a variable that holds a uri. */
  readonly targetEnv: string | undefined;
  /** Name of a BackupPolicy: the server that it backs up. */
  readonly targetOf: string | undefined;
  /** `name`, or `name in the backup=name on the server`. */
  readonly databases: readonly string[];
  readonly mode: 'Replace' | 'Create' | 'InPlace' | undefined;
  readonly jobs: number | undefined;
  readonly keepPrevious: boolean;
  readonly globals: boolean;
  readonly privilegedGlobals: boolean;
  readonly without: readonly LeavableKind[];
  readonly onError: 'Stop' | 'Continue' | undefined;
  readonly owner: boolean;
  readonly privileges: boolean;
  readonly namespace: string | undefined;
}

/** Flags that belong to a request of the flags' own, by the name they have on the command line. */
export function listGivenFlags(flags: RestoreFlags): readonly string[] {
  const given = {
    '--backup': flags.backup,
    '--policy': flags.policy,
    '--latest': flags.latest || undefined,
    '--at': flags.at,
    '--location': flags.location,
    '--file': flags.file,
    '--pattern': flags.pattern,
    '--member': flags.member,
    '--foreign': flags.foreign || undefined,
    '--target': flags.target,
    '--target-env': flags.targetEnv,
    '--target-of': flags.targetOf,
    '--database': flags.databases.length === 0 ? undefined : flags.databases,
    '--mode': flags.mode,
    '--jobs': flags.jobs,
    '--keep-previous': flags.keepPrevious || undefined,
    '--globals': flags.globals || undefined,
    '--privileged-globals': flags.privilegedGlobals || undefined,
    '--without': flags.without.length === 0 ? undefined : flags.without,
    '--on-error': flags.onError,
    '--no-owner': flags.owner ? undefined : true,
    '--no-privileges': flags.privileges ? undefined : true,
  };
  return Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [name]));
}
