import { InvalidArgumentError, Option, type Command } from 'commander';
import { leavableKinds, onErrors, type LeavableKind } from '../api/restore-options.ts';
import type { RestoreFlags } from '../local/restore-flags.ts';
import { wholeNumber } from './parse-number.ts';
import type { LocalRestoreOptions } from './local-restore-options.ts';

const examples = `
Examples:
  What is there:
    pgbackup local restore files/ --list
  The RestoreRequests of the files:
    pgbackup local restore files/ restore.yaml
  The newest backup of policy nightly, to the server it came from, beside the original:
    pgbackup local restore files/ --policy nightly --latest --target-of nightly --database shop=shop_copy --mode Create
  One backup over the database shop of another server, with two connections:
    export STAGING=postgresql://admin:…@staging:5432/postgres
    pgbackup local restore files/ --backup nightly-20260101t030000z --target-env STAGING --database shop --jobs 2
  The newest ZIP on an SFTP server:
    pgbackup local restore files/ --location sftp --pattern 'dumps/*.zip' --target admin-db --database shop

Selections, checks, SQL afterwards and everything else: in a RestoreRequest (--print shows the one that flags make).
Exit code: 0 when everything was restored, else that of the reason (docs/reasons.md), 64 for a command line that cannot be understood.
Ctrl-C stops and clears up; with modes Replace and Create the target is then as it was. A second Ctrl-C kills.`;

/** `pgbackup local restore`. */
export function addLocalRestore(
  local: Command,
  run: (paths: readonly string[], options: LocalRestoreOptions) => Promise<void>,
): void {
  const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];
  local
    .command('restore')
    .summary('restores, or lists what can be restored')
    .description(
      'Restores by the RestoreRequests of the files, or by one that flags describe: the same controller and runners as in a cluster. ' +
        'Nothing else of the files runs, and nothing is written to a location.',
    )
    .argument(
      '<files...>',
      'YAML files or folders with RestoreRequests, BackupLocations, Secrets, policies; - for stdin',
    )
    .option('--list', 'print what the locations hold, newest first, and exit')
    .addOption(new Option('--output <format>', 'of --list').choices(['table', 'json']).default('table'))
    .option('--limit <count>', 'of --list: backups, and files, of each location', wholeNumber(1, 1_000_000), 50)
    .option('--request <name>', 'only this RestoreRequest of the files (repeatable)', collect)
    .option('--restore-policy <name>', 'what this RestorePolicy of the files restores, now')
    .optionsGroup('What is restored (one of the first four):')
    .option('--backup <name>', 'this Backup')
    .option('--policy <name>', 'a Backup of this policy; with --latest or --at')
    .option('--file <path>', 'a file that anybody made, by its path below the location’s prefix')
    .option(
      '--pattern <pattern>',
      'the newest file that matches: * anything but /, ** anything, ? one character, {a,b}',
    )
    .option('--latest', 'of --policy: the newest')
    .option('--at <time>', 'of --policy: the newest that was started at or before, such as 2026-01-01T03:00:00Z')
    .option(
      '--location <name>',
      'where the file lies, or the backup’s copy is taken from (of a file: default the only one)',
    )
    .option('--member <pattern>', 'which file inside of a ZIP')
    .option('--foreign', 'of --file and --pattern: also what runs of another namespace stored')
    .optionsGroup('Where to (one of the first three, and a database):')
    .option('--target <secret>', 'server by the key uri of this Secret')
    .option('--target-env <variable>', 'server by the uri in this environment variable (never on the command line)')
    .option('--target-of <policy>', 'the server that this BackupPolicy of the files backs up')
    .option('--database <name>', 'target, or name-in-the-backup=target (repeatable: all of them or none)', collect)
    .optionsGroup('How:')
    .addOption(
      new Option(
        '--mode <mode>',
        'Replace: beside the target, then swapped; Create: it must not exist; InPlace',
      ).choices(['Replace', 'Create', 'InPlace']),
    )
    .option(
      '--jobs <count>',
      'connections that make indexes; of a foreign archive that load, from disk',
      wholeNumber(1, 32),
    )
    .option('--keep-previous', 'keep the replaced database under a name with the date')
    .option('--globals', 'create roles that are missing')
    .option('--privileged-globals', 'with --globals: also their power over the server, as the source has it')
    .option(
      '--without <kind>',
      `leave out what is of this kind: ${leavableKinds.join(', ')} (repeatable)`,
      collectKinds,
    )
    .addOption(
      new Option('--on-error <what>', 'Continue: what the server refuses is left out, and named').choices([
        ...onErrors,
      ]),
    )
    .option('--no-owner', 'objects belong to the user who restores')
    .option('--no-privileges', 'without grants')
    .option('--namespace <name>', 'of the objects; needed when the files have several')
    .option('--print', 'print the RestoreRequest, and do nothing')
    .optionsGroup('Options:')
    .option('--state-dir <folder>', 'folder for work in progress and the log (default: XDG state folder)')
    .option('--no-color', 'no colours, also on a terminal')
    .option('--debug', 'log more, and show stacks of internal errors')
    .addHelpText('after', examples)
    .action(async (paths: readonly string[], options: GivenOptions) => run(paths, readRestoreOptions(options)));
}

function collectKinds(value: string, before: readonly LeavableKind[] = []): readonly LeavableKind[] {
  const kind = leavableKinds.find((known) => known === value);
  if (kind === undefined) throw new InvalidArgumentError(`Allowed choices are ${leavableKinds.join(', ')}.`);
  return [...before, kind];
}

/** As commander makes them: absent when they were not given and have no default. */
type GivenOptions = Partial<Omit<RestoreFlags, 'requests' | 'databases'>> &
  Partial<Omit<LocalRestoreOptions, 'flags'>> & {
    readonly request?: readonly string[];
    readonly database?: readonly string[];
  };

function readRestoreOptions(given: GivenOptions): LocalRestoreOptions {
  const { list = false, output = 'table', limit = 50, print = false, stateDir, color = true, debug = false } = given;
  return {
    flags: {
      requests: given.request ?? [],
      restorePolicy: given.restorePolicy,
      backup: given.backup,
      policy: given.policy,
      latest: given.latest ?? false,
      at: given.at,
      location: given.location,
      file: given.file,
      pattern: given.pattern,
      member: given.member,
      foreign: given.foreign ?? false,
      target: given.target,
      targetEnv: given.targetEnv,
      targetOf: given.targetOf,
      databases: given.database ?? [],
      mode: given.mode,
      jobs: given.jobs,
      keepPrevious: given.keepPrevious ?? false,
      globals: given.globals ?? false,
      privilegedGlobals: given.privilegedGlobals ?? false,
      without: given.without ?? [],
      onError: given.onError,
      owner: given.owner ?? true,
      privileges: given.privileges ?? true,
      namespace: given.namespace,
    },
    list,
    output,
    limit,
    print,
    stateDir,
    color,
    debug,
  };
}
