import type { Backup, BackupLocation } from '../api/kinds.ts';
import { apiVersion } from '../api/kinds.ts';
import { resources } from '../controller/resources.ts';
import { backupName } from '../domain/names.ts';
import type { Clock } from '../support/clock.ts';
import type { LoadedObject } from './loaded-object.ts';
import type { LocalOperator } from './operator.ts';
import { hasEnded } from './progress.ts';

const lookAgainMs = 100;
/** An inspection that takes longer does not keep the backups waiting: they meet the location themselves. */
const inspectionBudgetMs = 5 * 60_000;

/**
 * Waits until every location was looked at, creates one Backup for each of the policies, and waits until these and those of the files
 * have ended. Resolves with them as they ended; with what there is when the signal aborts.
 */
export async function runOnce(
  operator: LocalOperator,
  objects: readonly LoadedObject[],
  policies: readonly LoadedObject[],
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly Backup[]> {
  const wanted = new Set(objects.filter(({ object }) => object.kind === 'Backup').map(({ object }) => keyOf(object)));
  const mine = (): readonly Backup[] => operator.backups().filter((backup) => wanted.has(keyOf(backup)));
  const patience = clock.monotonicMs() + inspectionBudgetMs;
  const waitUntil = async (holds: () => boolean): Promise<void> => {
    while (!signal.aborted && !holds()) {
      operator.broken.throwIfAborted();
      await clock.sleep(lookAgainMs, signal).catch(() => undefined);
    }
  };

  await waitUntil(() => clock.monotonicMs() >= patience || operator.locations().every(isInspected));
  for (const { object: policy } of signal.aborted ? [] : policies) {
    const { name, namespace } = policy.metadata;
    const metadata = { name: backupName(name, clock.nowMs()), namespace };
    wanted.add(keyOf({ metadata }));
    await operator.client.create(
      resources.backup,
      { apiVersion, kind: 'Backup', metadata, spec: { policy: name } },
      signal,
    );
  }
  await waitUntil(() => mine().length === wanted.size && mine().every(hasEnded));
  return mine();
}

/** Its first inspection ended, all pages of it, well or badly. */
export function isInspected({ status }: BackupLocation): boolean {
  const available = status?.conditions?.find(({ type }) => type === 'Available');
  if (available === undefined || available.status === 'Unknown') return false;
  return available.status === 'False' || status?.catalogue === undefined;
}

const keyOf = ({ metadata }: { metadata: { readonly name?: string; readonly namespace?: string } }): string =>
  `${metadata.namespace}/${metadata.name}`;
