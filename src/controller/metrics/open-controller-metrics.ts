import type { BackupLocation, BackupPolicy, RestorePolicy } from '../../api/kinds.ts';
import { openMetrics, type Metrics } from '../../support/metrics.ts';
import type { Clock } from '../../support/clock.ts';
import type { Controller, ControllerOptions } from '../controller.ts';
import { listSamples, rememberIntervals } from './gauges.ts';
import { derivedMetrics, liveMetrics } from './metric-names.ts';
import { samples } from './samples.ts';

export interface ControllerMetrics {
  /** To be handed to the controller when it is made. */
  readonly hooks: Required<Pick<ControllerOptions, 'onLook' | 'onRequest'>>;
  /** From here on scrapes show this controller's world; before that only what is counted. */
  follow(controller: Controller): void;
  readonly print: Metrics['print'];
}

/** The metrics of one controller, in a registry of their own. `clockAheadMs`: of the API server's, once that is known. */
export function openControllerMetrics(
  clock: Clock,
  options: { readonly processMetrics: boolean; readonly clockAheadMs?: () => number | undefined } = {
    processMetrics: true,
  },
): ControllerMetrics {
  const { processMetrics, clockAheadMs } = options;
  let followed: Controller | undefined;
  const intervalOf = rememberIntervals();
  const metrics = openMetrics({
    processMetrics,
    live: liveMetrics,
    derived: derivedMetrics,
    derive: () => {
      if (followed === undefined) return [];
      const leads = followed.leads();
      const aheadMs = clockAheadMs?.();
      const health = [
        ...samples({}, { controller_clock_ahead_seconds: aheadMs === undefined ? undefined : aheadMs / 1000 }),
        { name: 'pgbackup_controller_leader', labels: {}, value: leads ? 1 : 0 },
        ...followed.watches.contactAges().map(({ kind, seconds }) => {
          return { name: 'pgbackup_watch_contact_age_seconds', labels: { kind }, value: seconds };
        }),
      ];
      // Objects are told of once, by who works on them; that one's caches are filled, else no policy at all would be a lie.
      if (!leads) return health;
      const { world } = followed;
      const readable = <T>(
        reads: readonly { readonly object: T; readonly fault: string | undefined }[],
      ): readonly T[] => reads.filter(({ fault }) => fault === undefined).map(({ object }) => object);
      const seen = {
        nowMs: clock.nowMs(),
        policies: readable(world.policies()),
        locations: readable(world.locations()),
        backupsOf: ({ metadata: { namespace, name } }: BackupPolicy) =>
          readable(world.backupsOfPolicy(namespace, name)),
        backupsFailedAt: ({ metadata: { namespace, name } }: BackupLocation) =>
          readable(world.backupsFailedAt(namespace, name)),
        restorePolicies: readable(world.restorePolicies()),
        restoresOf: ({ metadata: { namespace, name } }: RestorePolicy) =>
          readable(world.restoresOfPolicy(namespace, name)),
        queue: followed.queue(),
      };
      return join(health, listSamples(seen, intervalOf));
    },
  });
  return {
    hooks: {
      onLook: ({ kind, seconds, decidingSeconds, error }) => {
        metrics.count('pgbackup_reconcile_total', { kind });
        if (error) metrics.count('pgbackup_reconcile_errors_total', { kind });
        metrics.observe('pgbackup_reconcile_duration_seconds', { kind }, seconds);
        metrics.observe('pgbackup_reconcile_deciding_seconds', { kind }, decidingSeconds);
      },
      onRequest: ({ verb, resource, code }) => metrics.count('pgbackup_api_requests_total', { verb, resource, code }),
    },
    follow: (controller) => {
      followed = controller;
    },
    print: () => metrics.print(),
  };
}

function* join<T>(...parts: readonly Iterable<T>[]): Generator<T> {
  for (const part of parts) yield* part;
}
