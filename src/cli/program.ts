import { Command, Option } from 'commander';
import { programVersion } from '../support/version.ts';
import { addEncryption } from './add-encryption.ts';
import { addLocalRestore } from './add-local-restore.ts';
import type { DecryptOptions } from './decrypt.ts';
import type { EncryptOptions } from './encrypt.ts';
import type { KeygenOptions } from './keygen.ts';
import type { RewrapOptions } from './rewrap.ts';
import type { VerifyManifestOptions } from './verify-manifest.ts';
import type { LocalRestoreOptions } from './local-restore-options.ts';
import type { LocalOptions } from './local.ts';
import { wholeNumber } from './parse-number.ts';
import type { CommandWorld } from './command-world.ts';

export interface ControllerFlags {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  /** All namespaces if absent. */
  readonly namespace: string | undefined;
  readonly runnerImage: string | undefined;
  readonly runnerImagePullPolicy: 'Always' | 'IfNotPresent' | 'Never' | undefined;
  readonly runnerImagePullSecrets: readonly string[];
  readonly runnerIds: 'image' | 'platform';
  readonly metricsPort: number;
  readonly maxRuns: number;
  readonly maxRestores: number;
  readonly maxRunsPerServer: number;
  readonly maxInspections: number;
  /** In a cluster yes, elsewhere no, if absent. */
  readonly leaderElection: boolean | undefined;
  readonly leaseName: string;
  /** The own one if absent. */
  readonly leaseNamespace: string | undefined;
  /** The name of the pod or host if absent. */
  readonly identity: string | undefined;
  readonly debug: boolean;
}

/** What the commands do; each resolves with the exit code. */
export interface Commands {
  local(world: CommandWorld, paths: readonly string[], options: LocalOptions): Promise<number>;
  localRestore(world: CommandWorld, paths: readonly string[], options: LocalRestoreOptions): Promise<number>;
  controller(world: CommandWorld, options: ControllerFlags): Promise<number>;
  runner(world: CommandWorld): Promise<number>;
  keygen(world: CommandWorld, options: KeygenOptions): Promise<number>;
  decrypt(world: CommandWorld, volumes: readonly string[], options: DecryptOptions): Promise<number>;
  encrypt(world: CommandWorld, file: string, options: EncryptOptions): Promise<number>;
  recipients(world: CommandWorld, keyFile: string): Promise<number>;
  verifyManifest(world: CommandWorld, path: string, options: VerifyManifestOptions): Promise<number>;
  rewrap(world: CommandWorld, files: readonly string[], options: RewrapOptions): Promise<number>;
}

/** The `pgbackup` command line. `done` is told the exit code of the command that ran. */
export function makeProgram(world: CommandWorld, commands: Commands, done: (exitCode: number) => void): Command {
  const program = new Command('pgbackup')
    .description('Logical PostgreSQL backups that prove themselves.')
    .version(programVersion, '--version', 'print the version')
    .helpCommand(false)
    // `local restore` may have options of the same names as `local`.
    .enablePositionalOptions()
    .showSuggestionAfterError(true)
    .configureOutput({
      writeOut: (text) => void world.stdout.write(text),
      writeErr: (text) => void world.stderr.write(text),
    })
    .exitOverride();
  addLocal(program, world, commands, done);
  addController(program, world, commands, done);
  addEncryption(program, {
    keygen: async (options) => done(await commands.keygen(world, options)),
    decrypt: async (volumes, options) => done(await commands.decrypt(world, volumes, options)),
    encrypt: async (file, options) => done(await commands.encrypt(world, file, options)),
    recipients: async (keyFile) => done(await commands.recipients(world, keyFile)),
    verifyManifest: async (path, options) => done(await commands.verifyManifest(world, path, options)),
    rewrap: async (files, options) => done(await commands.rewrap(world, files, options)),
  });
  program
    .command('runner')
    .summary('does one task and exits; started by Jobs')
    .description('Does the task that the controller wrote below PGBACKUP_ROOT (default /run/pgbackup), and exits.')
    .action(async () => done(await commands.runner(world)));
  return program;
}

function addLocal(program: Command, world: CommandWorld, commands: Commands, done: (exitCode: number) => void): void {
  const local = program
    .command('local')
    .summary('the operator without Kubernetes')
    .description(
      'Runs the policies of YAML files on this machine: the same controller and runners as in a cluster, as child processes. ' +
        'What was stored is found again at the next start. A RestorePolicy starts afresh: slots that were missed are not made up, and ' +
        'its first run restores also what has not changed. RestoreRequests are run by `pgbackup local restore` only.',
    )
    .usage('[options] <files...>')
    .helpCommand(false)
    .argument(
      '<files...>',
      'YAML files or folders with BackupPolicies, BackupLocations, Secrets, Backups, RestorePolicies; - for stdin',
    )
    .option('--once', 'back up every BackupPolicy now, wait for the end, and exit: 0 if all succeeded', false)
    .option('--policy <name>', 'only this policy (name or namespace/name; repeatable)', collect, [])
    .option('--state-dir <folder>', 'folder for work in progress and the log (default: XDG state folder)')
    .addOption(port('--metrics-port <port>', 'serve /metrics on this port of the loopback interface'))
    .option('--no-color', 'no colours, also on a terminal')
    .option('--debug', 'log more, and show stacks of internal errors', false)
    .action(async (paths: readonly string[], options: Record<string, unknown>) => {
      const { policy, ...rest } = options;
      const given = { stateDir: undefined, metricsPort: undefined, ...rest, policies: policy };
      done(await commands.local(world, paths, given as unknown as LocalOptions));
    });
  addLocalRestore(local, async (paths, options) => done(await commands.localRestore(world, paths, options)));
}

function addController(
  program: Command,
  world: CommandWorld,
  commands: Commands,
  done: (exitCode: number) => void,
): void {
  program
    .command('controller')
    .summary('the operator in a cluster')
    .description('Watches policies, locations and Backups of a cluster, and runs their Jobs.')
    .option('--kubeconfig <file>', 'kubeconfig (default: KUBECONFIG, else the service account of this pod)')
    .option('--context <name>', 'context of the kubeconfig')
    .option('--namespace <name>', 'only this namespace (default: all)')
    .addOption(
      new Option(
        '--runner-image <image>',
        'image of the Jobs (default: that of the pod POD_NAME, in which this runs)',
      ).env('PGBACKUP_RUNNER_IMAGE'),
    )
    .addOption(
      new Option('--runner-image-pull-policy <policy>', 'of the Jobs').choices(['Always', 'IfNotPresent', 'Never']),
    )
    .option('--runner-image-pull-secret <name>', 'of the Jobs (repeatable)', collect, [])
    .addOption(
      new Option(
        '--runner-ids <whose>',
        'user and groups of the Jobs: those of the image, or left to the platform (OpenShift)',
      )
        .choices(['image', 'platform'])
        .default('image'),
    )
    .addOption(port('--metrics-port <port>', 'serves /metrics, /healthz and /readyz').default(8080))
    .option('--max-runs <count>', 'backups that run at once', wholeNumber(1, 10_000), 8)
    .option('--max-restores <count>', 'restores that run at once', wholeNumber(1, 10_000), 4)
    .option('--max-runs-per-server <count>', 'runs of one server at once', wholeNumber(1, 10_000), 2)
    .option('--max-inspections <count>', 'inspections of locations at once', wholeNumber(1, 1000), 4)
    .option('--leader-election', 'work only while holding a Lease; others stand by (default: in a cluster)')
    .option('--no-leader-election', 'work at once: for the only controller')
    .option('--lease-name <name>', 'the same for all that must not work at once', 'pgbackup-operator')
    .option('--lease-namespace <name>', 'namespace of the Lease (default: that of this pod, or of the context)')
    .option('--identity <name>', 'who holds the Lease, for people (default: name of this pod or host)')
    .option('--debug', 'log more', false)
    .action(async (options: Record<string, unknown>) => {
      const { runnerImagePullSecret, ...rest } = options;
      const given = {
        kubeconfig: undefined,
        context: undefined,
        runnerImage: undefined,
        runnerImagePullPolicy: undefined,
        namespace: undefined,
        leaderElection: undefined,
        leaseNamespace: undefined,
        identity: undefined,
        ...rest,
        runnerImagePullSecrets: runnerImagePullSecret,
      };
      done(await commands.controller(world, given as unknown as ControllerFlags));
    });
}

const port = (flags: string, description: string): Option =>
  new Option(flags, description).argParser(wholeNumber(0, 65_535));

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];
