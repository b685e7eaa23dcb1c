import { Failure, toFailure } from '../../../api/failure.ts';
import { hideSetting, type RefusedStatement } from '../../../postgres/hide-setting.ts';
import type { Connection } from '../../../postgres/connection.ts';
import { createDatabase } from '../../../postgres/create-database.ts';
import {
  closeStatement,
  commentStatement,
  propertyStatements,
  type DatabaseProperties,
} from '../../../postgres/database-properties.ts';
import { findDatabases } from '../../../postgres/target-database.ts';
import type { TargetPlan } from '../target/check-target.ts';
import type { NewDatabase } from './new-database.ts';
import type { OpenTarget } from '../target/open-target.ts';
import { leaveSeal } from '../target/seals.ts';

/** A database that is being restored beside its target. */
export interface Scratch {
  readonly plan: TargetPlan;
  readonly name: string;
  readonly oid: string;
  readonly owner: string;
  /** As it can be had on this server. */
  readonly properties: DatabaseProperties;
  readonly comment?: string | undefined;
  readonly notes: readonly string[];
}

/**
 * Creates an empty database, into which nobody else gets, and tries at once whether it can get the properties and the seal that it
 * is to have in the end. What cannot be set fails a replacement; of what only the manifest tells it becomes a note. After a failure
 * the database may be there.
 * @throws Failure PermissionDenied, VersionUnsupported, DiskFull
 */
export async function makeScratch(
  plan: TargetPlan,
  like: NewDatabase,
  request: { readonly uid: string },
  { session, facts }: Pick<OpenTarget, 'session' | 'facts'>,
): Promise<Scratch> {
  const { loadInto: name, target, existing } = plan;
  await createDatabase(session, facts.major, name, like.traits);
  await session.query(closeStatement(name));
  await session.query(commentStatement(name, `pgbackup restores "${target}" here, and drops it if that fails`));
  const made = (await findDatabases(session, facts.major, [name])).get(name);
  if (made === undefined) throw new Failure('TargetBusy', `the database "${name}" vanished as soon as it was made`);
  const wanted = propertyStatements(name, made.owner, like.properties);
  const refused = await rehearse(session, wanted, leaveSeal(request.uid, made, { is: 'swapped' }));
  const told = refused.map(hideSetting);
  const [first] = told;
  if (first !== undefined && existing !== undefined) {
    throw new Failure('PermissionDenied', `"${target}" has a property that we may not set: ${first.error}`, {
      hint: `it is: ${first.statement}`,
    });
  }
  return {
    plan,
    name,
    oid: made.oid,
    owner: made.owner,
    properties: without(like.properties, made.owner, name, new Set(refused.map(({ statement }) => statement))),
    comment: like.comment,
    notes: [...like.notes, ...told.map(({ statement, error }) => `left out: ${statement} (${error})`)],
  };
}

/** @throws Failure PermissionDenied when the server refuses the seal */
async function rehearse(
  session: Connection,
  statements: readonly string[],
  seal: string,
): Promise<readonly RefusedStatement[]> {
  const refused: RefusedStatement[] = [];
  await session.query('BEGIN');
  try {
    await session.query(seal);
    for (const statement of statements) {
      await session.query('SAVEPOINT trial');
      try {
        await session.query(statement);
        await session.query('RELEASE SAVEPOINT trial');
      } catch (error) {
        const failure = toFailure(error);
        if (failure.reason === 'ConnectionLost' || failure.reason === 'Aborted') throw failure;
        await session.query('ROLLBACK TO SAVEPOINT trial');
        refused.push({
          statement,
          error: failure.cause instanceof Error ? failure.cause.message : failure.message,
        });
      }
    }
  } finally {
    await session.query('ROLLBACK').catch(() => {});
  }
  return refused;
}

/** The properties whose statements are not among the refused ones. */
function without(
  properties: DatabaseProperties,
  owner: string,
  name: string,
  refused: ReadonlySet<string>,
): DatabaseProperties {
  if (refused.size === 0) return properties;
  const settable = (change: Partial<DatabaseProperties>): boolean =>
    propertyStatements(name, owner, { ...nothing, ...change }).every((statement) => !refused.has(statement));
  const { grants } = properties;
  return {
    ...properties,
    ...(grants === undefined ? {} : { grants: grants.filter((grant) => settable({ grants: [grant] })) }),
    settings: properties.settings.filter((setting) => settable({ settings: [setting] })),
  };
}

const nothing: DatabaseProperties = { connectionLimit: -1, settings: [], allowConnections: true, isTemplate: false };
