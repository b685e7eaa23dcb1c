import { toFailure } from '../../api/failure.ts';
import type { RestoredSource } from '../../api/restore-spec.ts';
import type { RestoreTaskTarget } from '../../domain/task.ts';
import { dropDatabase, type Connect } from '../../postgres/drop-database.ts';
import { sqlstateOf } from '../../postgres/create-database.ts';
import { quoteName, quoteText } from '../../postgres/quote.ts';
import { findDatabases, listMatching } from '../../postgres/target-database.ts';
import type { Log } from '../../support/log.ts';
import { parseRestoreMarker } from '../../domain/restore-marker.ts';
import type { OpenTarget } from './open-target.ts';
import { replacedPattern, scratchPattern } from './scratch-names.ts';

/** What an earlier try of the same request left, and what became of it. */
export interface Settled {
  /** The targets hold what was restored. */
  readonly swapped: boolean;
  /** What was restored, if the marker told it. */
  readonly source?: RestoredSource;
  readonly dropped: readonly string[];
  readonly databases: readonly SettledDatabase[];
}

export interface SettledDatabase {
  readonly source?: string;
  readonly target: string;
  /** Name under which the replaced database is still there. */
  readonly previous?: string;
  readonly notes: readonly string[];
}

/**
 * Finishes what a swap began (drops what was replaced, gives the databases their comments), or drops what a restore without a swap
 * left. All swaps of a request are one transaction: a marker on one target, or one replaced database, tells for all.
 * A database that the server refuses to drop stays and is named: what the targets are is known all the same.
 * @throws Failure of a connection
 */
export async function settle(
  request: { readonly uid: string },
  databases: RestoreTaskTarget['databases'],
  { session, facts, connect }: Pick<OpenTarget, 'session' | 'facts' | 'connect'>,
  { log, signal }: { readonly log: Log; readonly signal: AbortSignal },
): Promise<Settled> {
  const found = await findDatabases(
    session,
    facts.major,
    databases.map(({ target: name }) => name),
  );
  const replaced = await listMatching(session, replacedPattern(request.uid));
  const markers = new Map(
    [...found.values()].flatMap(({ name, comment }) => {
      const marker = parseRestoreMarker(comment);
      return marker?.request === request.uid && marker.swapped ? [[name, marker] as const] : [];
    }),
  );
  const swapped = replaced.length > 0 || markers.size > 0;
  const dropped: string[] = [];
  const notes: string[] = [];
  const drop = async (name: string, what: string, open?: Connect): Promise<void> => {
    try {
      await dropDatabase(session, name, open);
      dropped.push(name);
    } catch (error) {
      const failure = toFailure(error);
      if (sqlstateOf(failure) === undefined) throw failure;
      log.warn(`${what} could not be dropped`, { database: name, error: failure.message });
      notes.push(`${what} is still there as "${name}" and can be dropped: ${failure.message}`);
    }
  };
  for (const { name, comment } of await listMatching(session, scratchPattern(request.uid))) {
    const marker = parseRestoreMarker(comment);
    if (marker !== undefined && marker.request !== request.uid) continue;
    log.info('dropping what an earlier try left', { database: name });
    await drop(name, 'what an earlier try left', (other) => connect(other, signal));
  }
  // Slots and prepared transactions in it are somebody's: it stays then.
  for (const { name } of replaced) await drop(name, 'the replaced database');
  for (const [name, { comment }] of markers) {
    await session.query(finalComment(name, comment));
  }
  const [source] = [...markers.values()].flatMap((marker) => (marker.source === undefined ? [] : [marker.source]));
  return {
    swapped,
    ...(source === undefined ? {} : { source }),
    dropped,
    databases: databases.map(({ source: from, target: name }) => {
      const previous = markers.get(name)?.previous;
      return {
        ...(from === undefined ? {} : { source: from }),
        target: name,
        ...(previous === undefined ? {} : { previous }),
        notes,
      };
    }),
  };
}

/** Takes the marker away: the last thing that is done to a database. */
export function finalComment(name: string, comment: string | undefined): string {
  return `COMMENT ON DATABASE ${quoteName(name)} IS ${comment === undefined ? 'NULL' : quoteText(comment)}`;
}
