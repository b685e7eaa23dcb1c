import { managedBy, resources } from '../controller/resources.ts';
import { createEventRecorder } from '../kube/events.ts';
import type { HttpKubeClient } from '../kube/http-client.ts';
import type { Clock, Random } from '../support/clock.ts';
import type { Log } from '../support/log.ts';

const reason = 'ClockOff';

/** Says in the log, and as an event about our own pod (if we run in one), that our clock turned out to be off. Never throws or waits. */
export function tellClock(
  { isOff, aheadMs }: { readonly isOff: boolean; readonly aheadMs: number },
  options: {
    readonly client: HttpKubeClient;
    readonly clock: Clock;
    readonly random: Random;
    readonly log: Log;
    readonly instance: string;
    readonly podName: string | undefined;
    readonly signal: AbortSignal;
  },
): void {
  const { log } = options;
  const aheadSeconds = Math.round(aheadMs / 1000);
  if (!isOff) {
    log.info('the clock is right again', { aheadSeconds });
    return;
  }
  log.warn("the clock differs from the API server's, whose time counts until it is right again", {
    reason,
    aheadSeconds,
  });
  const off = aheadSeconds > 0 ? `${aheadSeconds} s ahead of` : `${-aheadSeconds} s behind`;
  record(`the clock of this controller is ${off} the API server's, whose time counts until it is right again`, options);
}

function record(message: string, options: Parameters<typeof tellClock>[1]): void {
  const { client, podName, log, signal } = options;
  if (podName === undefined) return;
  const events = createEventRecorder({ ...options, component: managedBy.value });
  const send = async (): Promise<void> => {
    const pod = await client.get(resources.pod, client.namespace, podName, signal);
    if (pod !== undefined) events.record({ object: pod, type: 'Warning', reason, message });
    await events.drain(signal);
  };
  send().catch((error: unknown) => log.debug('an event was not sent', { reason, error: String(error) }));
}
