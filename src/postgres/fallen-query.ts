/**
 * What hangs on tables and views that are dropped. Named as in an archive's table of contents (`type`, `schema`, `name`); `of`: what it
 * hangs on. `held`: it does not go with it, but keeps the server from dropping it. `privilege` and `grantee`: of grants (type ACL).
 * $1 and $2: schemas and names of what is dropped.
 */
export const fallenQuery = `
  WITH RECURSIVE wanted AS (
    SELECT c.oid, c.relname::text AS relname, n.nspname::text AS nspname, c.relowner, c.relacl
      FROM unnest($1::text[], $2::text[]) AS given (schema, name)
      JOIN pg_namespace n ON n.nspname = given.schema
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = given.name AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
  ), dropped AS (
    SELECT oid FROM wanted
    UNION
    SELECT c.oid FROM dropped JOIN pg_inherits i ON i.inhparent = dropped.oid
      JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition
  ), found (type, schema, name, of, held, privilege, grantee) AS (
    SELECT 'TABLE', n.nspname::text, c.relname::text, p.relname::text, false, '', ''
      FROM dropped JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_inherits i ON i.inhrelid = c.oid JOIN pg_class p ON p.oid = i.inhparent
     WHERE c.relispartition
    UNION ALL
    SELECT 'SEQUENCE', n.nspname, c.relname, t.relname, false, '', ''
      FROM dropped JOIN pg_class t USING (oid)
      JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.deptype IN ('a', 'i')
       AND d.classid = 'pg_class'::regclass
      JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S' JOIN pg_namespace n ON n.oid = c.relnamespace
    UNION ALL
    SELECT 'PUBLICATION TABLE', n.nspname, pub.pubname || ' ' || c.relname, c.relname, false, '', ''
      FROM dropped JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_publication_rel r ON r.prrelid = c.oid JOIN pg_publication pub ON pub.oid = r.prpubid
    UNION ALL
    SELECT 'INDEX', nspname, c.relname, wanted.relname, false, '', ''
      FROM wanted JOIN pg_index i ON i.indrelid = wanted.oid JOIN pg_class c ON c.oid = i.indexrelid
     WHERE i.indisready AND NOT c.relispartition
       AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid AND k.conrelid = wanted.oid)
    UNION ALL
    SELECT CASE contype WHEN 'f' THEN 'FK CONSTRAINT' ELSE 'CONSTRAINT' END, nspname, relname || ' ' || conname, relname, false, '', ''
      FROM wanted JOIN pg_constraint k ON k.conrelid = wanted.oid AND contype IN ('p', 'u', 'x', 'f') AND conparentid = 0
    UNION ALL
    SELECT 'TRIGGER', nspname, relname || ' ' || tgname, relname, false, '', ''
      FROM wanted JOIN pg_trigger t ON t.tgrelid = wanted.oid AND NOT tgisinternal AND tgparentid = 0
    UNION ALL
    SELECT 'RULE', nspname, relname || ' ' || rulename, relname, false, '', ''
      FROM wanted JOIN pg_rewrite r ON r.ev_class = wanted.oid AND rulename <> '_RETURN'
    UNION ALL
    SELECT 'POLICY', nspname, relname || ' ' || polname, relname, false, '', ''
      FROM wanted JOIN pg_policy p ON p.polrelid = wanted.oid
    UNION ALL
    SELECT 'STATISTICS', n.nspname, stxname, relname, false, '', ''
      FROM wanted JOIN pg_statistic_ext s ON s.stxrelid = wanted.oid JOIN pg_namespace n ON n.oid = stxnamespace
    UNION ALL
    SELECT 'ACL', nspname, 'TABLE ' || relname, relname, false, privilege_type, coalesce(rolname, 'PUBLIC')
      FROM wanted CROSS JOIN LATERAL aclexplode(relacl) AS given LEFT JOIN pg_roles r ON r.oid = given.grantee
     WHERE given.grantee <> relowner
    UNION ALL
    SELECT 'ACL', nspname, 'COLUMN ' || relname || '.' || attname, relname || '.' || attname, false, privilege_type, coalesce(rolname, 'PUBLIC')
      FROM wanted JOIN pg_attribute a ON a.attrelid = wanted.oid AND NOT attisdropped
      CROSS JOIN LATERAL aclexplode(attacl) AS given LEFT JOIN pg_roles r ON r.oid = given.grantee
     WHERE given.grantee <> relowner
    UNION ALL
    SELECT 'FK CONSTRAINT', n.nspname, c.relname || ' ' || conname, wanted.relname, true, '', ''
      FROM wanted JOIN pg_constraint k ON k.confrelid = wanted.oid AND contype = 'f' AND conparentid = 0
      JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE conrelid NOT IN (SELECT oid FROM dropped)
    UNION ALL
    SELECT DISTINCT CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END, n.nspname, c.relname, wanted.relname, true, '', ''
      FROM wanted JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = wanted.oid
       AND d.classid = 'pg_rewrite'::regclass
      JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_class <> wanted.oid
      JOIN pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm') JOIN pg_namespace n ON n.oid = c.relnamespace
    UNION ALL
    SELECT 'TABLE', n.nspname, c.relname, wanted.relname, true, '', ''
      FROM wanted JOIN pg_inherits i ON i.inhparent = wanted.oid
      JOIN pg_class c ON c.oid = i.inhrelid AND NOT c.relispartition AND c.relkind IN ('r', 'f')
      JOIN pg_namespace n ON n.oid = c.relnamespace
  )
  SELECT * FROM found ORDER BY type, schema, name, grantee, privilege`;
