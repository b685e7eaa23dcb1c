import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { Failure } from '../api/failure.ts';
import { openControllerMetrics, type ControllerMetrics } from '../controller/open-controller-metrics.ts';
import { loadObjects } from '../local/load.ts';
import { ansiPaint, noPaint } from '../local/paint.ts';
import { readSources } from '../local/read-sources.ts';
import { runLocal } from '../local/run-local.ts';
import { fileTransport, openLog, type Log } from '../support/log.ts';
import { listProgramFolders } from './program-folders.ts';
import type { LocalOptions } from './program.ts';
import { answerScrape } from './answer-scrape.ts';
import type { World } from './world.ts';

const logBytes = 10 * 1024 * 1024;
const logFiles = 3;

/** `pgbackup local`: see RunLocalOptions. */
export async function runLocalCommand(world: World, paths: readonly string[], options: LocalOptions): Promise<number> {
  const { clock, random, env, stderr, stdout } = world;
  const sources = await readSources(
    paths.map((path) => (path === '-' ? path : resolve(world.folder, path))),
    async () => text(world.stdin),
  );
  const { objects, errors } = loadObjects(sources, world.folder);
  if (errors.length > 0) {
    throw new Failure('SpecInvalid', errors.join('\n'), {
      hint: 'nothing was started; correct the files and try again',
    });
  }

  const stateDir = options.stateDir === undefined ? defaultStateDir(env) : resolve(world.folder, options.stateDir);
  await mkdir(stateDir, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw new Failure('SpecInvalid', `the state folder ${stateDir} cannot be made: ${String(error)}`, { cause: error });
  });
  const filename = join(stateDir, 'operator.log');
  const log = openLog({
    level: options.debug ? 'debug' : 'info',
    transport: fileTransport(filename, { maxBytes: logBytes, files: logFiles }),
  });
  const metrics = openControllerMetrics(clock, { processMetrics: options.metricsPort !== undefined });
  const isTerminal = stderr.isTTY === true && env['TERM'] !== 'dumb';
  const colours = options.color && (env['NO_COLOR'] ?? '') === '';
  const write = (lines: readonly string[]): void => void stdout.write(lines.map((line) => `${line}\n`).join(''));
  try {
    const exitCode = await runLocal(
      {
        objects,
        once: options.once,
        policies: options.policies,
        stateDir,
        platform: world.platform,
        command: [...world.self],
        env: runnerEnvironment(env, await listProgramFolders(env)),
        clock,
        random,
        log,
        hostName: world.hostName,
        hooks: metrics.hooks,
        // Progress is no result: it goes where errors go, so that the table can be piped.
        screen: { stream: stderr, isTerminal, paint: colours && isTerminal ? ansiPaint : noPaint },
        tablePaint: colours && stdout.isTTY === true ? ansiPaint : noPaint,
        print: write,
        onStart: async (operator) => {
          world.onForce(() => operator.kill());
          metrics.follow(operator.controller);
          const closeMetrics = await serveMetrics(metrics, options.metricsPort, log, stderr);
          if (!options.once) stderr.write(`keeping ${countOf(objects)}; log: ${filename}; Ctrl-C ends\n`);
          return closeMetrics;
        },
      },
      world.signal,
    );
    if (exitCode !== 0)
      stderr.write(`logs of what failed: ${join(stateDir, 'failed')}; of the operator: ${filename}\n`);
    return exitCode;
  } finally {
    await log.close();
  }
}

/** What a runner needs of this environment, and no secret: files with AWS credentials are named, not read. */
export function runnerEnvironment(
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
  };
  return Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) => (value === undefined || value === '' ? [] : [[name, value]])),
  );
}

function defaultStateDir(env: World['env']): string {
  const states = env['XDG_STATE_HOME'] ?? (env['HOME'] && join(env['HOME'], '.local/state'));
  if (states !== undefined && states !== '') return join(states, 'pgbackup');
  throw new Failure('SpecInvalid', 'neither HOME nor XDG_STATE_HOME is set', {
    hint: 'say where: --state-dir <folder>',
  });
}

async function serveMetrics(
  metrics: ControllerMetrics,
  port: number | undefined,
  log: Log,
  stderr: World['stderr'],
): Promise<() => Promise<void>> {
  if (port === undefined) return async () => undefined;
  const { serveHttp } = await import('../support/http.ts');
  const routes = { '/metrics': async () => answerScrape(metrics) };
  const server = await serveHttp({ host: '127.0.0.1', port, routes, log }).catch((error: unknown) => {
    throw new Failure('SpecInvalid', `metrics cannot be served on port ${port}: ${String(error)}`, {
      hint: 'choose another --metrics-port',
      cause: error,
    });
  });
  stderr.write(`metrics: http://127.0.0.1:${server.port}/metrics\n`);
  return async () => server.close();
}

function countOf(objects: readonly { readonly object: { readonly kind: string } }[]): string {
  const policies = objects.filter(({ object }) => object.kind.endsWith('Policy')).length;
  return `${policies} ${policies === 1 ? 'policy' : 'policies'}`;
}
