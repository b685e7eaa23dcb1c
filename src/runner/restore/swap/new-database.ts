import type { DatabaseFacts } from '../../../domain/manifest.ts';
import { parseAclItem } from '../../../postgres/acl-item.ts';
import type { DatabaseTraits } from '../../../postgres/create-database.ts';
import type { DatabaseProperties } from '../../../postgres/database-properties.ts';
import type { TargetDatabase } from '../../../postgres/target-database.ts';

/** What a restored database is like, besides its content. */
export interface NewDatabase {
  readonly traits: DatabaseTraits;
  readonly properties: DatabaseProperties;
  readonly comment?: string;
  /** What could not be as it was. */
  readonly notes: readonly string[];
}

/** Like the database that it replaces. */
export function likeExisting(existing: TargetDatabase): NewDatabase {
  const { owner, encoding, localeProvider, collate, ctype, locale, icuRules, tablespace, comment } = existing;
  const { grants, connectionLimit, settings, allowConnections, isTemplate } = existing;
  return {
    traits: {
      owner,
      encoding,
      localeProvider,
      collate,
      ctype,
      ...(locale === undefined ? {} : { locale }),
      ...(icuRules === undefined ? {} : { icuRules }),
      tablespace,
    },
    properties: {
      ...(grants === undefined ? {} : { grants }),
      // -2 is the mark of an interrupted DROP.
      connectionLimit: Math.max(connectionLimit, -1),
      settings,
      allowConnections,
      isTemplate,
    },
    ...(comment === undefined ? {} : { comment }),
    notes: [],
  };
}

/** What of the facts can be had on this server. */
export interface ServerOffers {
  readonly user: string;
  /** Owner that new databases may have. */
  readonly mayOwn: (role: string) => boolean;
  readonly hasRole: (role: string) => boolean;
  readonly hasTablespace: (name: string) => boolean;
  readonly noOwner: boolean;
  readonly noPrivileges: boolean;
}

/** Like the database that was dumped, as far as this server has roles and tablespaces for it. */
export function likeDumped(facts: DatabaseFacts | undefined, offers: ServerOffers): NewDatabase {
  if (facts === undefined) {
    return {
      traits: {},
      properties: { connectionLimit: -1, settings: [], allowConnections: true, isTemplate: false },
      notes: [],
    };
  }
  const notes: string[] = [];
  const owned = !offers.noOwner && offers.mayOwn(facts.owner);
  if (!offers.noOwner && !owned) notes.push(`the owner is "${offers.user}" instead of "${facts.owner}"`);
  const owner = owned ? facts.owner : offers.user;
  const hasTablespace = offers.hasTablespace(facts.tablespace);
  if (!hasTablespace) notes.push(`there is no tablespace "${facts.tablespace}": the server’s default is used`);
  const { localeProvider: provider, collate, ctype, locale, icuRules } = facts;
  const settings = facts.settings.filter(({ role, setting }) => {
    const there = role === undefined || offers.hasRole(role);
    if (!there) notes.push(`the setting ${nameOf(setting)} of the role "${role}" is left out: there is no such role`);
    return there;
  });
  return {
    traits: {
      owner,
      encoding: facts.encoding,
      localeProvider: provider === 'icu' || provider === 'builtin' ? provider : 'libc',
      ...(collate === undefined ? {} : { collate }),
      ...(ctype === undefined ? {} : { ctype }),
      ...(locale === undefined ? {} : { locale }),
      ...(icuRules === undefined ? {} : { icuRules }),
      ...(hasTablespace ? { tablespace: facts.tablespace } : {}),
    },
    properties: {
      ...grantsOf(facts, owner, offers, notes),
      connectionLimit: Math.max(facts.connectionLimit, -1),
      settings: settings.map(({ role, setting }) => ({ ...(role === undefined ? {} : { role }), setting })),
      allowConnections: true,
      isTemplate: false,
    },
    ...(facts.comment === undefined ? {} : { comment: facts.comment }),
    notes,
  };
}

function grantsOf(
  facts: DatabaseFacts,
  owner: string,
  offers: ServerOffers,
  notes: string[],
): Pick<DatabaseProperties, 'grants'> {
  if (facts.acl === undefined || offers.noPrivileges) return {};
  const missing = new Set<string>();
  const grants = facts.acl.flatMap(parseAclItem).flatMap((grant) => {
    const grantee = grant.grantee === facts.owner ? owner : grant.grantee;
    if (grantee !== undefined && grantee !== owner && !offers.hasRole(grantee)) {
      missing.add(grantee);
      return [];
    }
    const grantor = grant.grantor !== facts.owner && offers.hasRole(grant.grantor) ? grant.grantor : owner;
    return [{ ...grant, grantor, ...(grantee === undefined ? {} : { grantee }) }];
  });
  for (const role of missing) notes.push(`rights on the database for "${role}" are left out: there is no such role`);
  return { grants };
}

function nameOf(setting: string): string {
  return setting.slice(0, setting.indexOf('='));
}
