import type { DatabaseFacts } from '../../../domain/manifest.ts';
import { findMissingRoles, findMissingTablespaces, findOwnable, readRights } from '../../../postgres/target-rights.ts';
import { parseAclItem } from '../../../postgres/acl-item.ts';
import type { TargetPlan } from '../target/check-target.ts';
import type { LoadWanted } from '../wanted.ts';
import { likeDumped, likeExisting, type NewDatabase } from './new-database.ts';
import type { OpenTarget } from '../target/open-target.ts';

/** What the new database is to be like: the one that it replaces, else the one that was dumped. */
export async function chooseLikeness(
  plan: TargetPlan,
  facts: DatabaseFacts | undefined,
  options: Pick<LoadWanted['options'], 'noOwner' | 'noPrivileges'>,
  { session, facts: server }: Pick<OpenTarget, 'session' | 'facts'>,
): Promise<NewDatabase> {
  if (plan.existing !== undefined) return likeExisting(plan.existing);
  const rights = await readRights(session);
  const roles = facts === undefined ? [] : rolesOf(facts);
  const missingRoles = new Set(await findMissingRoles(session, roles));
  const tablespaces = facts === undefined ? [] : [facts.tablespace];
  const missingTablespaces = await findMissingTablespaces(session, tablespaces);
  const ownable = facts === undefined ? [] : await findOwnable(session, server.major, [facts.owner]);
  return likeDumped(facts, {
    user: rights.user,
    mayOwn: (role) => (rights.superuser ? !missingRoles.has(role) : ownable.includes(role)),
    hasRole: (role) => !missingRoles.has(role),
    hasTablespace: (name) => !missingTablespaces.includes(name),
    noOwner: options.noOwner,
    noPrivileges: options.noPrivileges,
  });
}

function rolesOf(facts: DatabaseFacts): readonly string[] {
  const inGrants = (facts.acl ?? []).flatMap(parseAclItem).flatMap(({ grantor, grantee }) => [grantor, grantee]);
  const inSettings = facts.settings.map(({ role }) => role);
  return [...new Set([facts.owner, ...inGrants, ...inSettings])].filter((role) => role !== undefined);
}
