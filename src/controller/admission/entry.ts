import type { BackupPolicy } from '../../api/kinds.ts';
import type { TaskPostgresSource } from '../../domain/task.ts';

/** A run that has a Job, or that could have one but for its turn. */
export interface QueueEntry {
  /** Of the look at it (keys.ts). */
  readonly key: string;
  readonly kind: 'backup' | 'restore';
  readonly namespace: string;
  readonly createdAtMs: number;
  /** Nobody's schedule made it: somebody waits for it. */
  readonly byHand: boolean;
  /** Whose places it takes (serverOf). */
  readonly server: string;
  /** What no other run may write meanwhile: `server/database`. Only of restores. */
  readonly targets: readonly string[];
  /** `going`: it has a Job. `waiting`: for its turn. `refused`: for its turn, but its Job was refused when it had it. */
  readonly state: 'going' | 'waiting' | 'refused';
  /** Of a run that goes: from when on it does no work (idle.ts), milliseconds since 1970; may lie ahead. */
  readonly idleAtMs?: number | undefined;
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
