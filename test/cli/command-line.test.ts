import { describe, expect, it } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { listProgramFolders } from '../../src/cli/program-folders.ts';
import type { LocalRestoreOptions } from '../../src/cli/local-restore-options.ts';
import type { Commands } from '../../src/cli/program.ts';
import { runCommandLine } from '../../src/cli/run-command-line.ts';
import { KubeError } from '../../src/kube/client.ts';
import { listGivenFlags } from '../../src/local/restore-flags.ts';
import { programVersion } from '../../src/support/version.ts';
import { makeWorld } from './make-world.ts';

/** What a command line asks for; the commands themselves are tested elsewhere. */
async function ask(
  line: readonly string[],
  options: { env?: Record<string, string>; fails?: unknown; code?: number } = {},
) {
  const { world, stdout, stderr } = makeWorld(options.env);
  let asked: unknown;
  const answer = async (command: string, given: object): Promise<number> => {
    asked = { command, ...given };
    // oxlint-disable-next-line typescript/only-throw-error -- whatever a command may throw
    if (options.fails !== undefined) throw options.fails;
    return options.code ?? 0;
  };
  const commands: Commands = {
    local: async (_, paths, given) => answer('local', { paths, ...given }),
    localRestore: async (_, paths, given) => answer('localRestore', { paths, ...given }),
    controller: async (_, given) => answer('controller', given),
    runner: async () => answer('runner', {}),
    keygen: async (_, given) => answer('keygen', given),
    decrypt: async (_, volumes, given) => answer('decrypt', { volumes, ...given }),
    recipients: async (_, keyFile) => answer('recipients', { keyFile }),
    encrypt: async (_, file, given) => answer('encrypt', { file, ...given }),
    verifyManifest: async (_, path, given) => answer('verifyManifest', { path, ...given }),
    rewrap: async (_, files, given) => answer('rewrap', { files, ...given }),
  };
  const exitCode = await runCommandLine(line, world, commands);
  return { exitCode, asked, stdout: stdout(), stderr: stderr() };
}

describe('the command line', () => {
  it('gives `local` its files and options', async () => {
    expect((await ask(['local', 'a.yaml', 'b'])).asked).toEqual({
      command: 'local',
      paths: ['a.yaml', 'b'],
      once: false,
      policies: [],
      stateDir: undefined,
      metricsPort: undefined,
      color: true,
      debug: false,
    });
    const line = 'local - --once --policy a --policy shop/b --state-dir /s --metrics-port 0 --no-color --debug';
    expect((await ask(line.split(' '))).asked).toEqual({
      command: 'local',
      paths: ['-'],
      once: true,
      policies: ['a', 'shop/b'],
      stateDir: '/s',
      metricsPort: 0,
      color: false,
      debug: true,
    });
  });

  it('gives commands for keys what they need, with defaults', async () => {
    expect((await ask(['keygen'])).asked).toEqual({
      command: 'keygen',
      out: undefined,
      bits: 4096,
      signing: false,
    });
    expect((await ask(['keygen', '--bits', '1024'])).exitCode).toBe(64);
    expect((await ask('verify-manifest m --signature s --public-key p'.split(' '))).asked).toEqual({
      command: 'verifyManifest',
      path: 'm',
      signature: 's',
      publicKey: 'p',
    });
    const line = 'decrypt --key-file key.enc --identity a --identity b one two';
    expect((await ask(line.split(' '))).asked).toEqual({
      command: 'decrypt',
      volumes: ['one', 'two'],
      keyFile: 'key.enc',
      identity: ['a', 'b'],
      kms: false,
      kmsEndpoint: undefined,
      passphraseFile: undefined,
    });
    expect((await ask(['decrypt', 'one'])).exitCode).toBe(64);
    expect((await ask(['recipients', 'key.enc'])).asked).toEqual({ command: 'recipients', keyFile: 'key.enc' });
    expect((await ask('encrypt --key-file k --recipient a --recipient-kms b -'.split(' '))).asked).toEqual({
      command: 'encrypt',
      file: '-',
      keyFile: 'k',
      recipient: ['a'],
      recipientKms: ['b'],
      kmsEndpoint: undefined,
    });
    expect((await ask('rewrap files --policy nightly --identity a --recipient b --dry-run'.split(' '))).asked).toEqual({
      command: 'rewrap',
      files: ['files'],
      policy: 'nightly',
      backup: undefined,
      location: undefined,
      namespace: undefined,
      dryRun: true,
      identity: ['a'],
      passphraseFile: undefined,
      kms: false,
      kmsEndpoint: undefined,
      recipient: ['b'],
      recipientKms: [],
    });
    expect((await ask('rewrap files --recipient b'.split(' '))).exitCode).toBe(64);
  });

  it('gives `local restore` its files and options, which may have the names of those of `local`', async () => {
    const { asked } = await ask(['local', 'restore', 'a.yaml', 'b']);
    expect(asked).toMatchObject({
      command: 'localRestore',
      paths: ['a.yaml', 'b'],
      list: false,
      output: 'table',
      limit: 50,
      print: false,
      stateDir: undefined,
      color: true,
      debug: false,
    });
    expect(listGivenFlags((asked as LocalRestoreOptions).flags)).toEqual([]);
    const line =
      'local restore - --policy nightly --at 2026-01-01T00:00:00Z --location disk --target-env URI --database a --database b=c ' +
      '--mode InPlace --jobs 3 --keep-previous --globals --privileged-globals --without tablespaces --no-owner --no-privileges --namespace shop --state-dir /s --debug --print';
    expect((await ask(line.split(' '))).asked).toMatchObject({
      command: 'localRestore',
      paths: ['-'],
      flags: {
        requests: [],
        policy: 'nightly',
        latest: false,
        at: '2026-01-01T00:00:00Z',
        location: 'disk',
        targetEnv: 'URI',
        databases: ['a', 'b=c'],
        mode: 'InPlace',
        jobs: 3,
        keepPrevious: true,
        globals: true,
        privilegedGlobals: true,
        without: ['tablespaces'],
        owner: false,
        privileges: false,
        namespace: 'shop',
      },
      stateDir: '/s',
      debug: true,
      print: true,
    });
    expect((await ask('local restore x --list --output json --limit 7'.split(' '))).asked).toMatchObject({
      list: true,
      output: 'json',
      limit: 7,
    });
  });

  it('gives `controller` its defaults', async () => {
    // Its own, then.
    expect((await ask(['controller'])).asked).toMatchObject({ runnerImage: undefined });
    expect((await ask('controller --runner-image x:1 --namespace a --max-runs 3'.split(' '))).asked).toEqual({
      command: 'controller',
      kubeconfig: undefined,
      context: undefined,
      namespace: 'a',
      runnerImage: 'x:1',
      runnerImagePullPolicy: undefined,
      runnerImagePullSecrets: [],
      runnerIds: 'image',
      metricsPort: 8080,
      maxRuns: 3,
      maxRestores: 4,
      maxRunsPerServer: 2,
      maxInspections: 4,
      leaderElection: undefined,
      leaseName: 'pgbackup-operator',
      leaseNamespace: undefined,
      identity: undefined,
      debug: false,
    });
  });

  it('lets `controller` be told whether and for which Lease it contends', async () => {
    const controller = ['controller', '--runner-image', 'x'];
    const line = '--leader-election --lease-name l --lease-namespace ops --identity me'.split(' ');
    expect((await ask([...controller, ...line])).asked).toMatchObject({
      leaderElection: true,
      leaseName: 'l',
      leaseNamespace: 'ops',
      identity: 'me',
    });
    expect((await ask([...controller, '--no-leader-election'])).asked).toMatchObject({ leaderElection: false });
  });

  it('ends with the exit code of the command', async () => {
    expect((await ask(['runner'], { code: 75 })).exitCode).toBe(75);
  });

  it('prints version and help and ends well', async () => {
    expect(await ask(['--version'])).toMatchObject({ exitCode: 0, stdout: `${programVersion}\n`, stderr: '' });
    const help = await ask(['local', '--help']);
    expect(help).toMatchObject({ exitCode: 0, stderr: '' });
    expect(help.stdout).toContain('--once');
  });

  it.each([
    [['local'], "error: missing required argument 'files'"],
    [['local', 'x', '--onec'], "error: unknown option '--onec'\n(Did you mean --once?)"],
    [['local', 'restore'], "error: missing required argument 'files'"],
    [['local', 'restore', 'x', '--mode', 'replace'], 'Allowed choices are Replace, Create, InPlace.'],
    [['local', 'restore', 'x', '--once'], "error: unknown option '--once'"],
    [['locla'], "error: unknown command 'locla'\n(Did you mean local?)"],
    [['local', 'x', '--metrics-port', '70000'], 'it must be a whole number from 0 to 65535.'],
    [['controller', '--runner-image', 'x', '--max-runs', '0'], 'it must be a whole number from 1 to 10000.'],
  ])('refuses %j with 64', async (line, message) => {
    const { exitCode, stderr, asked } = await ask(line);
    expect(exitCode).toBe(64);
    expect(stderr).toContain(message);
    expect(asked).toBeUndefined();
  });

  it('shows help when nothing is asked for', async () => {
    const { exitCode, stderr } = await ask([]);
    expect(exitCode).toBe(64);
    expect(stderr).toContain('Usage: pgbackup');
  });
});

describe('what a command says when it fails', () => {
  it('is one line for each error, a hint and the exit code of the reason', async () => {
    const fails = new Failure('SpecInvalid', 'a.yaml:1: no\na.yaml:2: neither', { hint: 'correct it' });
    expect(await ask(['local', 'x'], { fails })).toMatchObject({
      exitCode: 78,
      stderr: 'error: a.yaml:1: no\nerror: a.yaml:2: neither\nhint: correct it\n',
    });
  });

  it('is the remedy of the catalogue when there is no hint', async () => {
    const { stderr } = await ask(['runner'], { fails: new Failure('TaskInvalid', 'no task') });
    expect(stderr).toBe('error: no task\nhint: Let controller and runner come from the same image.\n');
  });

  it('is about the API server when that refuses', async () => {
    const fails = new KubeError('Forbidden', 'backups is forbidden', { status: 403 });
    const { exitCode, stderr } = await ask(['controller', '--runner-image', 'x'], { fails });
    expect(exitCode).toBe(77);
    expect(stderr).toMatch(/^error: backups is forbidden\nhint: .*\(Forbidden\)\n$/);
  });

  it('has a stack only for a bug, and only with --debug', async () => {
    const quiet = await ask(['local', 'x'], { fails: new TypeError('x is undefined') });
    expect(quiet).toMatchObject({
      exitCode: 1,
      stderr: 'error: internal error: x is undefined\nhint: this is a bug; report it with what --debug shows\n',
    });
    const loud = await ask(['local', 'x', '--debug'], { fails: new TypeError('x is undefined') });
    expect(loud.stderr).toMatch(/\n {4}at /);
    expect((await ask(['local', 'x', '--debug'], { fails: new Failure('SpecInvalid', 'x') })).stderr).not.toMatch(
      / at /,
    );
  });
});

describe('the folders of client programs', () => {
  it('are those of PGBACKUP_PROGRAMS, then the standard ones, then PATH, each once and absolute', async () => {
    const env = { PGBACKUP_PROGRAMS: '/pg/18/bin:relative:/usr/bin', PATH: '/usr/bin:/bin:' };
    expect(await listProgramFolders(env, async () => ['/usr/lib/postgresql/15/bin'])).toEqual([
      '/pg/18/bin',
      '/usr/bin',
      '/usr/lib/postgresql/15/bin',
      '/bin',
    ]);
    expect(await listProgramFolders({}, async () => [])).toEqual([]);
  });
});
