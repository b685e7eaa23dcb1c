import type { BackupPolicy } from '../../api/kinds.ts';
import type { TaskPostgresSource } from '../../domain/task.ts';

/** A run that goes on, or that could start but for the limits. */
export interface QueueEntry {
  /** `namespace/name` of the Backup. */
  readonly key: string;
  readonly createdAtMs: number;
  readonly server: string;
  readonly running: boolean;
}

export type Turn = { readonly admitted: true } | { readonly admitted: false; readonly waitsFor: string };

/**
 * Whose turn it is: oldest first, equal ages by name; a run whose server is busy lets others pass. Every look at the same entries
 * answers the same, so two runs that ask at once never both take the last place.
 */
export function findTurn(
  entries: readonly QueueEntry[],
  key: string,
  limits: { readonly runs: number; readonly perServer: number },
): Turn {
  const busy = new Map<string, number>();
  let running = 0;
  const take = (server: string): void => {
    running += 1;
    busy.set(server, (busy.get(server) ?? 0) + 1);
  };
  for (const entry of entries) if (entry.running) take(entry.server);
  const waiting = entries
    .filter((entry) => !entry.running)
    .toSorted((a, b) => a.createdAtMs - b.createdAtMs || a.key.localeCompare(b.key));
  for (const entry of waiting) {
    const serverIsBusy = (busy.get(entry.server) ?? 0) >= limits.perServer;
    if (running >= limits.runs || serverIsBusy) {
      if (entry.key !== key) continue;
      const waitsFor =
        running >= limits.runs
          ? `${limits.runs} runs go on or come first`
          : `${limits.perServer} runs of the same server go on or come first`;
      return { admitted: false, waitsFor };
    }
    if (entry.key === key) return { admitted: true };
    take(entry.server);
  }
  return { admitted: false, waitsFor: 'it is not in the queue' };
}

/** What stands for the server: its host and port, or the Secret where the controller cannot read them. */
export function serverOf(
  namespace: string,
  source: Pick<TaskPostgresSource, 'host' | 'port'> & { readonly credentials: { readonly secretName: string } },
): string {
  if (source.host === undefined) return `secret ${namespace}/${source.credentials.secretName}`;
  const host = source.host.toLowerCase();
  // A name without a dot means another server in each namespace.
  const isLocal = !host.includes('.') && !host.includes(':');
  return `${isLocal ? `${namespace}/` : ''}${host}:${source.port}`;
}

export function serverOfPolicy({ metadata, spec }: BackupPolicy): string {
  return serverOf(metadata.namespace, spec.source.postgres);
}
