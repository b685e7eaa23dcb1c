import { parseRestoreSeal, printRestoreSeal, sealKinds, type RestoreSeal } from '../../../domain/restore-seal.ts';
import type { Connection } from '../../../postgres/connection.ts';
import { readSeals, sealKeyOf, sealStatement, type SealedDatabase } from '../../../postgres/database-seal.ts';

/** A statement that leaves word of a request with a database. To be the last one before COMMIT, so that nothing takes it away. */
export function leaveSeal(requestUid: string, database: SealedDatabase, seal: RestoreSeal): string {
  return sealStatement(database, sealKeyOf(requestUid), printRestoreSeal(seal));
}

/** How far a request came with databases, by their names; absent: it left no word. @throws Failure of the connection */
export async function findSeals(
  requestUid: string,
  names: readonly string[],
  connection: Connection,
): Promise<ReadonlyMap<string, RestoreSeal>> {
  const texts = await readSeals(connection, sealKeyOf(requestUid), names);
  const found = new Map<string, RestoreSeal>();
  for (const [name, all] of texts) {
    const seals = all.map(parseRestoreSeal).filter((seal) => seal !== undefined);
    // Each role has its own: what came last counts.
    const last = seals.reduce<RestoreSeal | undefined>(later, undefined);
    if (last !== undefined) found.set(name, last);
  }
  return found;
}

function later(one: RestoreSeal | undefined, other: RestoreSeal): RestoreSeal {
  const isLater = one === undefined || sealKinds.indexOf(other.is) > sealKinds.indexOf(one.is);
  return isLater ? other : one;
}
