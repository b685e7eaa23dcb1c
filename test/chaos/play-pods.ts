import { setTimeout as delay } from 'node:timers/promises';
import { labels } from '../../src/api/kinds.ts';
import { resources } from '../../src/controller/resources.ts';
import type { KubeClient, KubeObject } from '../../src/kube/client.ts';
import type { Random } from '../../src/support/clock.ts';
import { backupVerdict, cleanupVerdict, inspectVerdict, restoreVerdict } from '../builders/verdicts.ts';
import { running, terminated } from '../controller/fake-cluster.ts';

const fields = { image: 'test/image:1', imageID: '', ready: false, restartCount: 0 };

export interface Playing {
  readonly random: Random;
  /** Share of the backups and restores that fail for good. */
  readonly failing: number;
  /** Pods whose runner is at work until it is no longer so. */
  readonly holds?: (pod: KubeObject) => boolean;
}

/** What a runner of this pod would say. */
function tell(pod: KubeObject, { random, failing }: Playing): object {
  const now = new Date().toISOString();
  const times = { startedAt: now, completedAt: now };
  const failed = { verdict: 'Failed', reason: 'AuthenticationFailed', message: 'no password' } as const;
  const isFailure = random.fraction() < failing;
  const kind = pod.metadata.labels?.[labels.task];
  if (kind === 'inspect') return terminated(0, JSON.stringify(inspectVerdict(times)), now);
  if (kind === 'cleanup') return terminated(0, JSON.stringify(cleanupVerdict(times)), now);
  const make = kind === 'restore' ? restoreVerdict : backupVerdict;
  return terminated(isFailure ? 77 : 0, JSON.stringify(make({ ...times, ...(isFailure ? failed : {}) })), now);
}

/** Plays the kubelet of all nodes until the signal aborts: every pod ends some seconds after it was made. What cannot be written is written later. */
export async function playPods(client: KubeClient, playing: Playing, signal: AbortSignal): Promise<void> {
  const { random, holds = () => false } = playing;
  const endsAt = new Map<string, number>();
  while (!signal.aborted) {
    try {
      const { items } = await client.list(resources.pod, {}, signal);
      for (const pod of items) {
        const { uid = '', deletionTimestamp } = pod.metadata;
        const status = pod.status as { readonly phase?: string; readonly conditions?: unknown };
        const { phase = '' } = status;
        if (!['Pending', 'Running'].includes(phase) || deletionTimestamp !== undefined) continue;
        const due = endsAt.get(uid) ?? performance.now() + random.fraction() * 4000;
        endsAt.set(uid, due);
        const isHeld = holds(pod);
        if (isHeld ? phase === 'Running' : performance.now() < due) continue;
        const { containerStatuses, ...said } = (isHeld ? running : tell(pod, playing)) as {
          readonly containerStatuses: readonly object[];
        };
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
