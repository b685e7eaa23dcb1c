import { join } from 'node:path';
import { Failure } from '../api/failure.ts';
import { openControllerMetrics, type ControllerMetrics } from '../controller/metrics/open-controller-metrics.ts';
import { runLocal } from '../local/run-local.ts';
import type { Log } from '../support/log.ts';
import { answerScrape } from './answer-scrape.ts';
import { loadFiles, prepareLocal, type LocalWorkOptions } from './prepare-local.ts';
import type { CommandWorld } from './command-world.ts';

export interface LocalOptions extends LocalWorkOptions {
  readonly once: boolean;
  /** Only these policies; all if empty. */
  readonly policies: readonly string[];
  readonly metricsPort: number | undefined;
}

/** `pgbackup local`: see RunLocalOptions. */
export async function runLocalCommand(
  world: CommandWorld,
  paths: readonly string[],
  options: LocalOptions,
): Promise<number> {
  const { clock, stderr } = world;
  const { once, policies } = options;
  const objects = await loadFiles(world, paths);
  const { operator: common, log, logFile, stateDir, ...output } = await prepareLocal(world, options);
  const metrics = openControllerMetrics(clock, { processMetrics: options.metricsPort !== undefined });
  try {
    const exitCode = await runLocal(
      {
        ...common,
        ...output,
        objects,
        once,
        policies,
        hooks: metrics.hooks,
        onStart: async (operator) => {
          world.onForce(() => operator.kill());
          metrics.follow(operator.controller);
          const closeMetrics = await serveMetrics(metrics, options.metricsPort, log, stderr);
          if (!once) stderr.write(`keeping ${countOf(objects)}; log: ${logFile}; Ctrl-C ends\n`);
          return closeMetrics;
        },
      },
      world.signal,
    );
    if (exitCode !== 0) stderr.write(`logs of what failed: ${join(stateDir, 'failed')}; of the operator: ${logFile}\n`);
    return exitCode;
  } finally {
    await log.close();
  }
}

async function serveMetrics(
  metrics: ControllerMetrics,
  port: number | undefined,
  log: Log,
  stderr: CommandWorld['stderr'],
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
