import type { DatabaseGrant } from './target-database.ts';

const letters: Readonly<Record<string, string | undefined>> = { C: 'CREATE', c: 'CONNECT', T: 'TEMPORARY' };

/** Reads an aclitem of a database as PostgreSQL prints it: `"a role"=CTc/owner`, PUBLIC before the = empty. Unknown letters are left out. */
export function parseAclItem(item: string): readonly DatabaseGrant[] {
  const match = /^((?:"(?:[^"]|"")*"|[^="])*)=([A-Za-z*]*)\/(.*)$/s.exec(item);
  if (match === null) return [];
  const [, who = '', rights = '', by = ''] = match;
  const grantee = unquote(who);
  return [...rights.matchAll(/([A-Za-z])(\*?)/g)].flatMap(([, letter = '', star]) => {
    const privilege = letters[letter];
    if (privilege === undefined) return [];
    return [{ grantor: unquote(by), ...(grantee === '' ? {} : { grantee }), privilege, grantable: star === '*' }];
  });
}

function unquote(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}
