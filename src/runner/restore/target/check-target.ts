import { Failure } from '../../../api/failure.ts';
import { findDatabases, type TargetDatabase } from '../../../postgres/target-database.ts';
import { findHolds, findOwnable, readRights } from '../../../postgres/target-rights.ts';
import type { LoadWanted, TargetWanted } from '../wanted.ts';
import type { OpenTarget } from './open-target.ts';
import { scratchName } from './scratch-names.ts';

/** One target and how it gets its content. */
export interface TargetPlan {
  readonly index: number;
  readonly source?: string;
  readonly target: string;
  /** What is there now. */
  readonly existing?: TargetDatabase;
  /** Where it is loaded to: a scratch database, or the target itself (InPlace). */
  readonly loadInto: string;
}

/**
 * Looks at what is there and what we may do, before anything is made or fetched.
 * @throws Failure TargetExists, TargetMissing, TargetBusy, PermissionDenied with what is lacking
 */
export async function checkTargets(
  { request, databases }: Pick<TargetWanted, 'request' | 'databases'>,
  mode: LoadWanted['mode'],
  { session, facts }: Pick<OpenTarget, 'session' | 'facts'>,
  attempt: string,
): Promise<readonly TargetPlan[]> {
  const names = databases.map(({ target }) => target);
  const found = await findDatabases(session, facts.major, names);
  const rights = await readRights(session);
  if (rights.inRecovery) {
    throw new Failure('PermissionDenied', 'the server is a standby: it takes no writes', {
      hint: 'name the address of the primary',
    });
  }
  if (mode !== 'InPlace' && !rights.superuser && !rights.createDatabases) {
    throw new Failure('PermissionDenied', `the user "${rights.user}" may not create databases`, {
      hint: `ALTER ROLE "${rights.user}" CREATEDB, or restore with mode InPlace into an empty database`,
    });
  }
  const plans: TargetPlan[] = [];
  for (const [index, { source, target }] of databases.entries()) {
    const existing = found.get(target);
    if (mode === 'Create' && existing !== undefined) {
      throw new Failure('TargetExists', `the database "${target}" exists already`);
    }
    if (mode === 'InPlace' && existing === undefined) {
      throw new Failure('TargetMissing', `there is no database "${target}"`);
    }
    if (mode === 'Replace' && existing !== undefined) await checkReplaceable(existing, session, facts.major, rights);
    plans.push({
      index,
      ...(source === undefined ? {} : { source }),
      target,
      ...(existing === undefined ? {} : { existing }),
      loadInto: mode === 'InPlace' ? target : scratchName(request.uid, attempt, index),
    });
  }
  return plans;
}

async function checkReplaceable(
  existing: TargetDatabase,
  session: OpenTarget['session'],
  serverMajor: number,
  rights: { readonly user: string; readonly superuser: boolean },
): Promise<void> {
  const { name, owner, oid } = existing;
  if (!rights.superuser && !(await findOwnable(session, serverMajor, [owner])).includes(owner)) {
    throw new Failure('PermissionDenied', `the user "${rights.user}" is no member of "${owner}", who owns "${name}"`, {
      hint: `GRANT "${owner}" TO "${rights.user}", or restore with mode InPlace`,
    });
  }
  // Prepared transactions come and go; slots and subscriptions stay, and would stay with the database that is dropped.
  const holds = (await findHolds(session, oid)).filter((hold) => !hold.startsWith('prepared transaction'));
  if (holds.length > 0) {
    throw new Failure('TargetBusy', `the database "${name}" cannot be replaced: it has ${holds.join(', ')}`, {
      hint: 'drop them first, or restore with mode InPlace',
    });
  }
}
