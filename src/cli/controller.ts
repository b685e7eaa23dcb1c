import { access } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Failure } from '../api/failure.ts';
import { createController } from '../controller/controller.ts';
import { clusterMode, type ControllerMode } from '../controller/mode.ts';
import { openControllerMetrics } from '../controller/metrics/open-controller-metrics.ts';
import { runLeading } from '../controller/run-leading.ts';
import { openKubeClient, type KubeSource } from '../kube/http-client.ts';
import { createServerClock } from '../kube/server-clock.ts';
import { serveHttp, type HttpAnswer, type HttpOptions, type HttpServer } from '../support/http.ts';
import { openLog } from '../support/log.ts';
import { programVersion } from '../support/version.ts';
import { answerScrape } from './answer-scrape.ts';
import { chooseLease } from './choose-lease.ts';
import { findOwnImage } from './find-own-image.ts';
import type { ControllerFlags } from './program.ts';
import { tellClock } from './tell-clock.ts';
import type { CommandWorld } from './command-world.ts';

/** A look that takes so long hangs: a restart is the only thing that helps. */
const hangingMs = 15 * 60_000;

/** `pgbackup controller`: watches a cluster until SIGTERM. */
export async function runController(world: CommandWorld, options: ControllerFlags): Promise<number> {
  const { clock, random, env, signal } = world;
  const source = await findCluster(world, options);
  const log = openLog({ level: options.debug ? 'debug' : 'info' });
  const podName = env['POD_NAME'];
  const instance = podName ?? world.hostName;
  // Told of nothing before the first request.
  const clusterClock = createServerClock(clock, {
    onChange: (state) => tellClock(state, { client, clock, random, log, instance, podName, signal }),
  });
  const client = await openKubeClient({
    source,
    clock,
    userAgent: `pgbackup-operator/${programVersion}`,
    onServerTime: (time) => clusterClock.hear(time),
  });
  const metrics = openControllerMetrics(clusterClock, {
    processMetrics: true,
    clockAheadMs: () => clusterClock.aheadMs(),
  });
  const inCluster = source.kind === 'in-cluster';
  const { onRequest } = metrics.hooks;
  const lease = chooseLease(options, { client, clock, random, log, instance, inCluster, onRequest });
  const controller = createController({
    client,
    clock: clusterClock,
    random,
    log,
    namespace: options.namespace,
    mode: modeOf(options, options.runnerImage ?? (await findOwnImage(client, podName, signal))),
    instance,
    ...metrics.hooks,
    ...(lease === undefined ? {} : { mayWrite: () => lease.isLeader() }),
  });
  metrics.follow(controller);
  const server = await serve({
    port: options.metricsPort,
    log,
    routes: {
      '/metrics': async () => answerScrape(metrics),
      '/healthz': () => answer(controller.queue().longestRunMs < hangingMs ? undefined : 'a look hangs'),
      '/readyz': () => answer(controller.watches.whyNotReady()),
    },
  });
  log.info('started', { version: programVersion, server: client.server, port: server.port });
  try {
    await runLeading(controller, lease, signal);
  } finally {
    await server.close();
    client.close();
    await log.close();
  }
  return 0;
}

function modeOf(options: ControllerFlags, image: string): ControllerMode {
  const { runnerImagePullPolicy, runnerImagePullSecrets } = options;
  return {
    ...clusterMode,
    limits: { runs: options.maxRuns, restores: options.maxRestores, perServer: options.maxRunsPerServer },
    inspections: options.maxInspections,
    runner: {
      image,
      ...(runnerImagePullPolicy === undefined ? {} : { imagePullPolicy: runnerImagePullPolicy }),
      ...(runnerImagePullSecrets.length === 0 ? {} : { imagePullSecrets: runnerImagePullSecrets }),
      ...(options.runnerIds === 'platform' ? { securityContext: {} } : {}),
    },
  };
}

/** As kubectl looks for it: the flag, KUBECONFIG, the pod's own account, then the home folder. @throws Failure SpecInvalid */
async function findCluster(
  { env, folder }: CommandWorld,
  { kubeconfig, context }: Pick<ControllerFlags, 'kubeconfig' | 'context'>,
): Promise<KubeSource> {
  const named = kubeconfig ?? (env['KUBECONFIG'] || undefined);
  const inCluster = env['KUBERNETES_SERVICE_HOST'] !== undefined && context === undefined;
  if (named === undefined && inCluster) return { kind: 'in-cluster', environment: env };
  const path = named ?? join(env['HOME'] ?? '/', '.kube/config');
  if (path.includes(':')) {
    throw new Failure('SpecInvalid', `KUBECONFIG names several files: ${path}`, { hint: 'name one with --kubeconfig' });
  }
  const whole = resolve(folder, path);
  try {
    await access(whole);
  } catch (error) {
    throw new Failure('SpecInvalid', `the kubeconfig ${whole} cannot be read`, {
      hint: 'name one with --kubeconfig, or run this in a cluster',
      cause: error,
    });
  }
  return { kind: 'file', path: whole, context };
}

/** On all addresses; on those of IPv4 where there is no IPv6. @throws Failure SpecInvalid when the port cannot be taken */
async function serve(options: Omit<HttpOptions, 'host'>): Promise<HttpServer> {
  try {
    return await serveHttp({ ...options, host: '::' }).catch(async (error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') throw error;
      return serveHttp({ ...options, host: '0.0.0.0' });
    });
  } catch (error) {
    throw new Failure('SpecInvalid', `port ${options.port} cannot be taken: ${String(error)}`, {
      hint: 'choose another --metrics-port',
      cause: error,
    });
  }
}

function answer(problem: string | undefined): HttpAnswer {
  const status = problem === undefined ? 200 : 503;
  return { status, contentType: 'text/plain; charset=utf-8', body: `${problem ?? 'ok'}\n` };
}
