import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { Failure } from '../api/failure.ts';
import { loadObjects } from '../local/load.ts';
import type { LoadedObject } from '../local/loaded-object.ts';
import type { LocalOperatorOptions } from '../local/operator.ts';
import { ansiPaint, noPaint, type Paint } from '../local/paint.ts';
import { readSources } from '../local/read-sources.ts';
import type { Screen } from '../local/show-progress.ts';
import { fileTransport, openLog, type Log } from '../support/log.ts';
import { listProgramFolders } from './program-folders.ts';
import { readProxy } from './read-proxy.ts';
import type { CommandWorld } from './command-world.ts';

const logBytes = 10 * 1024 * 1024;
const logFiles = 3;

/** Options of every command that works without Kubernetes. */
export interface LocalWorkOptions {
  readonly stateDir: string | undefined;
  readonly color: boolean;
  readonly debug: boolean;
}

/** What such a command works with. */
export interface LocalWork {
  readonly operator: Omit<LocalOperatorOptions, 'hooks'>;
  readonly log: Log;
  readonly logFile: string;
  readonly stateDir: string;
  /** Progress is no result: it goes where errors go, so that the table can be piped. */
  readonly screen: Screen;
  readonly tablePaint: Paint;
  readonly print: (lines: readonly string[]) => void;
}

/** The objects of YAML files. @throws Failure SpecInvalid with all that is wrong in them */
export async function loadFiles(world: CommandWorld, paths: readonly string[]): Promise<readonly LoadedObject[]> {
  const sources = await readSources(
    paths.map((path) => (path === '-' ? path : resolve(world.folder, path))),
    async () => text(world.stdin),
  );
  const { objects, errors } = loadObjects(sources, world.folder);
  if (errors.length === 0) return objects;
  throw new Failure('SpecInvalid', errors.join('\n'), {
    hint: 'nothing was started; correct the files and try again',
  });
}

/** Makes the state folder and opens the log in it, which the caller closes. @throws Failure SpecInvalid */
export async function prepareLocal(world: CommandWorld, options: LocalWorkOptions): Promise<LocalWork> {
  const { clock, random, env, stderr, stdout } = world;
  const stateDir = options.stateDir === undefined ? defaultStateDir(env) : resolve(world.folder, options.stateDir);
  await mkdir(stateDir, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw new Failure('SpecInvalid', `the state folder ${stateDir} cannot be made: ${String(error)}`, { cause: error });
  });
  const logFile = join(stateDir, 'operator.log');
  const log = openLog({
    level: options.debug ? 'debug' : 'info',
    transport: fileTransport(logFile, { maxBytes: logBytes, files: logFiles }),
  });
  const isTerminal = stderr.isTTY === true && env['TERM'] !== 'dumb';
  const colours = options.color && (env['NO_COLOR'] ?? '') === '';
  return {
    operator: {
      stateDir,
      platform: world.platform,
      command: [...world.self],
      env: runnerEnvironment(env, await listProgramFolders(env)),
      clock,
      random,
      log,
      hostName: world.hostName,
      onWait: ({ host, longestMs }) => {
        const who = `the pgbackup local before this one${host === undefined ? '' : ` (on ${host})`}`;
        stderr.write(`${who} did not say that it ended; waiting up to ${longestMs / 1000} s for a sign of life\n`);
      },
    },
    log,
    logFile,
    stateDir,
    screen: { stream: stderr, isTerminal, paint: colours && isTerminal ? ansiPaint : noPaint },
    tablePaint: colours && stdout.isTTY === true ? ansiPaint : noPaint,
    print: (lines) => void stdout.write(lines.map((line) => `${line}\n`).join('')),
  };
}

/** What a runner needs of this environment, and no secret: files with AWS credentials are named, not read. */
function runnerEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  programFolders: readonly string[],
): Readonly<Record<string, string>> {
  const home = env['HOME'];
  const given = {
    PATH: env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
    LANG: 'C.UTF-8',
    PGBACKUP_PROGRAMS: programFolders.join(':'),
    // A location without credentials uses the identity of who runs this, as a pod uses its own.
    AWS_PROFILE: env['AWS_PROFILE'],
    AWS_CONFIG_FILE: env['AWS_CONFIG_FILE'] ?? (home && join(home, '.aws/config')),
    AWS_SHARED_CREDENTIALS_FILE: env['AWS_SHARED_CREDENTIALS_FILE'] ?? (home && join(home, '.aws/credentials')),
    NODE_EXTRA_CA_CERTS: env['NODE_EXTRA_CA_CERTS'],
    NODE_COMPILE_CACHE: env['NODE_COMPILE_CACHE'],
    ...readProxy(env),
  };
  return Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) => (value === undefined || value === '' ? [] : [[name, value]])),
  );
}

function defaultStateDir(env: CommandWorld['env']): string {
  const states = env['XDG_STATE_HOME'] ?? (env['HOME'] && join(env['HOME'], '.local/state'));
  if (states !== undefined && states !== '') return join(states, 'pgbackup');
  throw new Failure('SpecInvalid', 'neither HOME nor XDG_STATE_HOME is set', {
    hint: 'say where: --state-dir <folder>',
  });
}
