import type { Failure } from '../../api/failure.ts';
import { isOfRestores } from '../../postgres/inspect.ts';
import type { SelectedDatabase } from './select-databases.ts';
import type { DumpRun } from './dump-run.ts';

/** What a database is that could not be reached under its name. */
export type Lost =
  | { readonly is: 'gone' }
  | { readonly is: 'closed'; readonly why: string }
  | { readonly is: 'renamed'; readonly name: string }
  /** It is gone, or a restore took it away, and another one has its name: that is what was meant. */
  | { readonly is: 'replaced'; readonly oid: string }
  /** By the server's own word it is where it was. */
  | { readonly is: 'there' };

/** A DROP DATABASE … WITH (FORCE) looks like a lost connection, and a limit of no connections like a full server. */
export function mayBeLost({ reason, message }: Failure): boolean {
  if (reason === 'ServerUnreachable') return isFull(message);
  return reason === 'DatabaseMissing' || reason === 'DatabaseClosed' || reason === 'ConnectionLost';
}

/** Asks by oid on a connection to another database. Undefined: it explains nothing, or the server cannot be asked. */
export async function findLost(
  { oid, name }: SelectedDatabase,
  { source, workshop }: Pick<DumpRun, 'source' | 'workshop'>,
  failure: Failure,
): Promise<Lost | undefined> {
  if (oid === undefined) return undefined;
  let now: Awaited<ReturnType<typeof source.find>>;
  try {
    now = await source.find(oid);
    if (now === undefined || isOfRestores(now.name) || now.isKept === true) {
      const heir = await source.findNamed(name);
      if (heir !== undefined && heir.oid !== oid) return { is: 'replaced', oid: heir.oid };
    }
  } catch {
    workshop.signal.throwIfAborted();
    return undefined;
  }
  if (now === undefined) return { is: 'gone' };
  if (now.closed !== undefined) return { is: 'closed', why: now.closed };
  if (isFull(failure.message)) {
    return now.connectionLimit === 0 ? { is: 'closed', why: 'it lets nobody in (CONNECTION LIMIT 0)' } : undefined;
  }
  if (now.name !== name) return { is: 'renamed', name: now.name };
  return failure.reason === 'DatabaseMissing' ? { is: 'there' } : undefined;
}

function isFull(message: string): boolean {
  return message.includes('too many connections for database');
}
