/**
 * What goes with schemas, sequences, functions, types and publications that are dropped, without a word of the server's: their rights, and
 * that PUBLIC has none (type REVOKED), default privileges of a schema, and what a publication has. Rows as those of fallen-query.ts.
 * $1, $2 and $3: types, schemas and names of what is dropped, as an archive's table of contents has them. It calls a function by the types
 * of its arguments, and the function of an ACL by its arguments.
 */
export function fallenRightsQuery(serverMajor: number): string {
  return `
  WITH given AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS given (type, schema, name)
  ), wanted (kind, schema, name, of, owner, acl) AS (
    SELECT 'n'::"char", '', 'SCHEMA ' || nspname, nspname::text, nspowner, nspacl
      FROM given JOIN pg_namespace ON nspname = name WHERE type = 'SCHEMA' AND name <> 'public'
    UNION ALL
    SELECT 's', nspname, 'SEQUENCE ' || relname, relname, relowner, relacl
      FROM given JOIN pg_namespace n ON nspname = schema JOIN pg_class ON relnamespace = n.oid AND relname = name AND relkind = 'S'
     WHERE type = 'SEQUENCE'
    UNION ALL
    SELECT 'T', nspname, 'TYPE ' || typname, typname, typowner, typacl
      FROM given JOIN pg_namespace n ON nspname = schema JOIN pg_type ON typnamespace = n.oid AND typname = name
     WHERE type IN ('TYPE', 'DOMAIN')
    UNION ALL
    SELECT 'f', nspname, CASE prokind WHEN 'p' THEN 'PROCEDURE ' ELSE 'FUNCTION ' END || proname || '(' || replace(
             regexp_replace(pg_get_function_identity_arguments(pg_proc.oid), '"((?:[^"]|"")+)"', '\\1', 'g'), '""', '"') || ')',
           name, proowner, proacl
      FROM given JOIN pg_namespace n ON nspname = schema
      JOIN pg_proc ON pronamespace = n.oid AND left(name, length(proname) + 1) = proname || '('
      LEFT JOIN LATERAL (
        SELECT string_agg(format_type(argument, NULL), ', ' ORDER BY at) AS arguments
          FROM unnest(proargtypes) WITH ORDINALITY AS argument (argument, at)
      ) AS taken ON true
     WHERE type IN ('FUNCTION', 'PROCEDURE', 'AGGREGATE')
       AND name = proname || '(' || coalesce(arguments, CASE prokind WHEN 'a' THEN '*' ELSE '' END) || ')'
  ), grants AS (
    SELECT wanted.schema, wanted.name, of, owner, grantee, privilege_type FROM wanted CROSS JOIN LATERAL aclexplode(acl)
  ), usual AS (
    SELECT wanted.schema, wanted.name, of, privilege_type, acl IS NOT NULL AS changed
      FROM wanted CROSS JOIN LATERAL aclexplode(acldefault(kind, owner)) WHERE grantee = 0
  ), found (type, schema, name, of, privilege, grantee) AS (
    SELECT 'ACL', g.schema, g.name, of, privilege_type, coalesce(rolname, 'PUBLIC')
      FROM grants g LEFT JOIN pg_roles r ON r.oid = grantee
     WHERE grantee <> owner AND (grantee <> 0 OR NOT EXISTS (SELECT FROM usual u WHERE (u.schema, u.name) = (g.schema, g.name)))
    UNION ALL
    SELECT 'REVOKED', schema, name, of, privilege_type, 'PUBLIC'
      FROM usual u WHERE changed AND NOT EXISTS (
        SELECT FROM grants g WHERE (g.schema, g.name, g.privilege_type) = (u.schema, u.name, u.privilege_type) AND grantee = 0)
    UNION ALL
    SELECT 'DEFAULT ACL', nspname, 'DEFAULT PRIVILEGES FOR ' ||
           CASE defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' ELSE 'TYPES' END, '', '', rolname
      FROM given JOIN pg_namespace n ON nspname = given.name JOIN pg_default_acl ON defaclnamespace = n.oid
      JOIN pg_roles r ON r.oid = defaclrole
     WHERE given.type = 'SCHEMA' AND given.name <> 'public'
    UNION ALL
    SELECT 'PUBLICATION TABLE', nspname, pubname || ' ' || relname, relname, '', ''
      FROM given JOIN pg_publication p ON pubname = given.name JOIN pg_publication_rel ON prpubid = p.oid
      JOIN pg_class c ON c.oid = prrelid JOIN pg_namespace n ON n.oid = relnamespace
     WHERE given.type = 'PUBLICATION'
    ${serverMajor < 15 ? '' : publishedSchemas}
  )
  SELECT *, false AS held FROM found ORDER BY type, schema, name, grantee, privilege`;
}

const publishedSchemas = `
    UNION ALL
    SELECT 'PUBLICATION TABLES IN SCHEMA', nspname, pubname || ' ' || nspname, nspname, '', ''
      FROM given JOIN pg_publication p ON true JOIN pg_publication_namespace ON pnpubid = p.oid JOIN pg_namespace n ON n.oid = pnnspid
     WHERE (given.type, given.name) IN (('PUBLICATION', pubname), ('SCHEMA', nspname)) AND nspname <> 'public'`;
