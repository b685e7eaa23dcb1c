import type { BackupPolicy } from '../../api/kinds.ts';
import type { TaskPostgresSource } from '../../domain/task.ts';

/** A run that has a Job, or that could have one but for the limits. */
export interface QueueEntry {
  /** `namespace/name` of the Backup. */
  readonly key: string;
  readonly createdAtMs: number;
  readonly server: string;
  /**
   * `working`: it has a Job, whether its pod runs yet or not. `stuck`: it has a Job whose pod cannot start (stuck.ts). `waiting`: for
   * its turn. `refused`: for its turn, but its Job was refused when it had it.
   */
  readonly state: 'working' | 'stuck' | 'waiting' | 'refused';
}

export type Turn = { readonly admitted: true } | { readonly admitted: false; readonly waitsFor: string };

/**
 * Whose turn it is: oldest first, equal ages by name; a run whose server is busy lets others pass. Every look at the same entries
 * answers the same, so two runs that ask at once never both take the last place.
 * Stuck runs take no place from others, but all may begin to work at any moment: together with those that work they are never more
 * than twice the limit. Who was refused takes no place from others either, having no Job that could begin to work.
 */
export function findTurn(
  entries: readonly QueueEntry[],
  key: string,
  limits: { readonly runs: number; readonly perServer: number },
): Turn {
  // There is room for all: the order does not matter.
  const mayAll = entries.length <= limits.runs && entries.length <= limits.perServer;
  if (mayAll && entries.some((entry) => entry.key === key && isWaiting(entry))) return { admitted: true };
  const all = openPlaces(limits.runs);
  const servers = new Map<string, Places>();
  const placesOf = (server: string): Places => {
    const places = servers.get(server) ?? openPlaces(limits.perServer);
    servers.set(server, places);
    return places;
  };
  const take = ({ server, state }: QueueEntry): void => {
    for (const places of [all, placesOf(server)]) places[state === 'stuck' ? 'stuck' : 'working'] += 1;
  };
  for (const entry of entries) if (!isWaiting(entry)) take(entry);
  const waiting = entries
    .filter(isWaiting)
    .toSorted((a, b) => a.createdAtMs - b.createdAtMs || compareText(a.key, b.key));
  for (const entry of waiting) {
    const full = whyFull(all, 'runs') ?? whyFull(placesOf(entry.server), 'runs of the same server');
    if (entry.key === key) return full === undefined ? { admitted: true } : { admitted: false, waitsFor: full };
    if (full === undefined && entry.state === 'waiting') take(entry);
  }
  return { admitted: false, waitsFor: 'it is not in the queue' };
}

const isWaiting = ({ state }: QueueEntry): boolean => state === 'waiting' || state === 'refused';
const compareText = (a: string, b: string): number => Number(a > b) - Number(a < b);

interface Places {
  readonly limit: number;
  working: number;
  stuck: number;
}

const openPlaces = (limit: number): Places => ({ limit, working: 0, stuck: 0 });

function whyFull({ limit, working, stuck }: Places, what: string): string | undefined {
  if (working >= limit) return `${limit} ${what} go on or come first`;
  if (working + stuck >= 2 * limit) return `${working + stuck} ${what} go on or cannot start`;
  return undefined;
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
