import { setTimeout as delay } from 'node:timers/promises';
import { labels } from '../../src/api/kinds.ts';
import { resources } from '../../src/controller/resources.ts';
import type { KubeClient, KubeObject } from '../../src/kube/client.ts';
import type { Random } from '../../src/support/clock.ts';
import { backupVerdict, cleanupVerdict, inspectVerdict, restoreVerdict } from '../builders/verdicts.ts';
import { terminated } from '../controller/fake-cluster.ts';

const fields = { image: 'test/image:1', imageID: '', ready: false, restartCount: 0 };

/** What a runner of this pod would say; one in ten fails for good. */
function tell(pod: KubeObject, random: Random): object {
  const now = new Date().toISOString();
  const times = { startedAt: now, completedAt: now };
  const failed = { verdict: 'Failed', reason: 'AuthenticationFailed', message: 'no password' } as const;
  const isFailure = random.fraction() < 0.1;
  const kind = pod.metadata.labels?.[labels.task];
  if (kind === 'inspect') return terminated(0, JSON.stringify(inspectVerdict(times)), now);
  if (kind === 'cleanup') return terminated(0, JSON.stringify(cleanupVerdict(times)), now);
  const make = kind === 'restore' ? restoreVerdict : backupVerdict;
  return terminated(isFailure ? 77 : 0, JSON.stringify(make({ ...times, ...(isFailure ? failed : {}) })), now);
}

/** Plays the kubelet of all nodes until the signal aborts: every pod ends some seconds after it was made. What cannot be written is written later. */
export async function playPods(client: KubeClient, random: Random, signal: AbortSignal): Promise<void> {
  const endsAt = new Map<string, number>();
  while (!signal.aborted) {
    try {
      const { items } = await client.list(resources.pod, {}, signal);
      for (const pod of items) {
        const { uid = '' } = pod.metadata;
        const status = pod.status as { readonly phase?: string; readonly conditions?: unknown };
        if (status.phase !== 'Pending' || pod.metadata.deletionTimestamp !== undefined) continue;
        const due = endsAt.get(uid) ?? performance.now() + random.fraction() * 4000;
        endsAt.set(uid, due);
        if (performance.now() < due) continue;
        const { containerStatuses, ...said } = tell(pod, random) as { readonly containerStatuses: readonly object[] };
        const filled = containerStatuses.map((each) => ({ ...fields, ...each }));
        await client.putStatus(
          resources.pod,
          { ...pod, status: { ...status, ...said, containerStatuses: filled } },
          signal,
        );
      }
    } catch {
      // The server is away, or somebody wrote in between.
    }
    await delay(300, undefined, { signal }).catch(() => undefined);
  }
}
