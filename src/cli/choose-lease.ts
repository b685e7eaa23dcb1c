import { Failure } from '../api/failure.ts';
import { countRequests, type RequestSeen } from '../controller/metrics/count-requests.ts';
import { isKubeError } from '../kube/client.ts';
import type { HttpKubeClient } from '../kube/http-client.ts';
import { createLease, type Lease } from '../kube/lease.ts';
import type { Clock, Random } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import type { ControllerFlags } from './program.ts';

/** The Lease that a controller contends for; undefined when it works alone. @throws Failure SpecInvalid without a namespace */
export function chooseLease(
  options: Pick<ControllerFlags, 'leaderElection' | 'leaseName' | 'leaseNamespace' | 'identity'>,
  world: {
    readonly client: HttpKubeClient;
    readonly clock: Clock;
    readonly random: Random;
    readonly log: Log;
    /** Name of the pod or host. */
    readonly instance: string;
    readonly inCluster: boolean;
    readonly onRequest: (request: RequestSeen) => void;
  },
): Lease | undefined {
  const { client, clock, random, log, instance, inCluster, onRequest } = world;
  if (!(options.leaderElection ?? inCluster)) return undefined;
  const namespace = options.leaseNamespace ?? client.namespace;
  if (namespace === undefined) {
    throw new Failure('SpecInvalid', 'it is not known in which namespace the Lease lies', {
      hint: 'name it with --lease-namespace',
    });
  }
  const name = options.leaseName;
  const fields = { lease: `${namespace}/${name}` };
  return createLease({
    client: countRequests(client, onRequest),
    clock,
    random,
    namespace,
    name,
    identity: options.identity ?? instance,
    onChange: ({ leads, holder, lost }) => {
      if (lost !== undefined) log.warn('lost the lease and stands by', { ...fields, holder, why: lost });
      else if (leads) log.info('leads', { ...fields, holder });
      else log.info('stands by', { ...fields, holder });
    },
    onError: (error, failures) => {
      // Every two seconds would be too often; each that may be the reason why nobody leads is told.
      const level = failures === 1 || failures % 30 === 0 ? 'warn' : 'debug';
      log[level]('a request for the lease failed and is tried again', {
        ...fields,
        failures,
        error: error instanceof Error ? error.message : String(error),
        code: isKubeError(error) ? error.code : undefined,
      });
    },
  });
}
