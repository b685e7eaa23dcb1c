const grant = 'GRANT ';
const option = ' WITH GRANT OPTION';

/** What the definition of an ACL in an archive grants: each right with who gets it, such as `SELECT reader` or `ALL PUBLIC`. */
export function readGranted(definition: string): readonly string[] {
  return definition.split(';\n').flatMap((whole) => {
    const statement = whole.endsWith(option) ? whole.slice(0, -option.length) : whole;
    const on = statement.indexOf(' ON ');
    if (!statement.startsWith(grant) || on === -1) return [];
    const grantee = lastName(statement);
    // Of a column: `SELECT(name),UPDATE(name)`.
    const rights = statement.slice(grant.length, on).matchAll(/(?<=^|,)([A-Z]+)(?=\(|,|$)/g);
    return [...rights].map(([right]) => `${right} ${grantee}`);
  });
}

/** Whether the definition of an ACL takes from everybody what everybody has by default. */
export function revokesPublic(definition: string): boolean {
  return definition
    .split(';\n')
    .some((statement) => statement.startsWith('REVOKE ') && statement.endsWith(' FROM PUBLIC'));
}

/** A quoted name is read from its end: whatever stands before it may be in a name, too. */
function lastName(statement: string): string {
  if (!statement.endsWith('"')) return statement.slice(statement.lastIndexOf(' ') + 1);
  let from = statement.lastIndexOf('"', statement.length - 2);
  while (from > 0 && statement[from - 1] === '"') from = statement.lastIndexOf('"', from - 2);
  return statement.slice(from + 1, -1).replaceAll('""', '"');
}
