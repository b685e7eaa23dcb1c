import type { Lease } from '../kube/lease.ts';
import type { Controller } from './controller.ts';

/**
 * Keeps the controller's caches warm until the signal aborts, and lets it work whenever it leads (without a lease: always). The lease is
 * sought only with filled caches: who cannot read the cluster must not keep others from working on it.
 */
export async function runLeading(
  controller: Pick<Controller, 'watch' | 'watches' | 'work'>,
  lease: Pick<Lease, 'whenLeading'> | undefined,
  signal: AbortSignal,
): Promise<void> {
  const work = async (): Promise<void> => {
    await controller.watches.whenSynced(signal);
    await (lease === undefined ? controller.work(signal) : lease.whenLeading((term) => controller.work(term), signal));
  };
  try {
    await Promise.all([controller.watch(signal), work()]);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
