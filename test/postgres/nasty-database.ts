import type { Postgres } from '../servers/postgres.ts';

/** A role that owns a part of it, and must exist where it is restored to. */
export const nastyRoles = `CREATE ROLE "odd owner"; CREATE ROLE reader`;

/** Names with spaces, quotes, line breaks and keywords; everything that belongs to a table; rows that look like the end of rows. */
export const nastyDatabase = `
CREATE SCHEMA "Sales Dept"; CREATE SCHEMA other AUTHORIZATION "odd owner";
CREATE TYPE "Sales Dept".mood AS ENUM ('sad', 'ok');
CREATE TABLE "Sales Dept"."my table" (id serial PRIMARY KEY, m "Sales Dept".mood DEFAULT 'ok', t text,
  CONSTRAINT "chk it" CHECK (id > 0));
CREATE TABLE "Sales Dept".my (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "table x" int, t text DEFAULT upper('x'));
INSERT INTO "Sales Dept"."my table" (t) SELECT E'a\\tb\\\\n\\n\\\\.\\nü' || i FROM generate_series(1, 3000) i;
INSERT INTO "Sales Dept".my (t) VALUES ('one'), (NULL);
CREATE TABLE "new
line" ("a
b" int, "q""x" text);
INSERT INTO "new
line" VALUES (1, E'\\\\.'), (2, NULL), (3, '\\! touch x');
COMMENT ON TABLE "new
line" IS 'c
\\! touch x';
CREATE TABLE "it's; -- $$ \\ " (x int);
CREATE TABLE other.child (id int REFERENCES "Sales Dept"."my table" (id), pid int REFERENCES "Sales Dept".my (id));
INSERT INTO other.child VALUES (1, 1); ALTER TABLE other.child OWNER TO "odd owner";
CREATE INDEX "ix 1" ON "Sales Dept"."my table" (t);
CREATE STATISTICS "Sales Dept".st ON id, t FROM "Sales Dept"."my table";
CREATE FUNCTION "Sales Dept".trg() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RETURN new; END $f$;
CREATE TRIGGER "a trigger" BEFORE INSERT ON "Sales Dept"."my table" FOR EACH ROW EXECUTE FUNCTION "Sales Dept".trg();
CREATE TRIGGER "table x" BEFORE INSERT ON "Sales Dept".my FOR EACH ROW EXECUTE FUNCTION "Sales Dept".trg();
CREATE RULE r1 AS ON UPDATE TO "Sales Dept".my DO ALSO INSERT INTO other.child VALUES (1);
ALTER TABLE "Sales Dept"."my table" ENABLE ROW LEVEL SECURITY;
CREATE POLICY "p 1" ON "Sales Dept"."my table" USING (id IN (SELECT id FROM "Sales Dept".my));
CREATE POLICY "p 2" ON "Sales Dept"."my table" USING (true);
GRANT SELECT ON "Sales Dept"."my table" TO reader; GRANT SELECT (t) ON "Sales Dept".my TO reader;
COMMENT ON COLUMN "Sales Dept"."my table".t IS 'a column'; COMMENT ON INDEX "Sales Dept"."ix 1" IS 'an index';
COMMENT ON TRIGGER "a trigger" ON "Sales Dept"."my table" IS 'a trigger';
CREATE TABLE part (k int, v text, PRIMARY KEY (k)) PARTITION BY RANGE (k);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (100) TO (200) PARTITION BY LIST (k);
CREATE TABLE part_2a PARTITION OF part_2 DEFAULT;
CREATE INDEX part_v ON part (v);
INSERT INTO part SELECT i, i::text FROM generate_series(0, 199) i;
CREATE TABLE parent (a int); CREATE TABLE heir (b int) INHERITS (parent); INSERT INTO heir VALUES (1, 2);
CREATE VIEW v AS SELECT * FROM part; CREATE MATERIALIZED VIEW mv AS SELECT count(*) AS c FROM part; CREATE INDEX ON mv (c);
CREATE SEQUENCE lone; CREATE TABLE uses_lone (x int DEFAULT nextval('lone')); INSERT INTO uses_lone DEFAULT VALUES;
SELECT lo_from_bytea(77, decode(md5('x'), 'hex'));
ALTER DEFAULT PRIVILEGES IN SCHEMA other GRANT SELECT ON TABLES TO reader;
CREATE TABLE loop (id int PRIMARY KEY, parent int REFERENCES loop (id)); INSERT INTO loop VALUES (2, NULL), (1, 2);
CREATE FUNCTION f_row(loop) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT $1.id; END;
`;

const relations = `SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relkind AS kind FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname !~ '^pg_|^information_schema$' AND c.relkind IN ('r', 'm', 'S') ORDER BY 1`;

/** Things of a database, by kind, in words that do not depend on ids or major. */
const catalogue = `
SELECT 'relation' AS kind, c.oid::regclass || ' ' || c.relkind::text || ' ' || pg_get_userbyid(c.relowner) || coalesce(' ' || c.relacl::text, '')
    || c.relrowsecurity || coalesce(' ' || obj_description(c.oid, 'pg_class'), '') AS what
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_|^information_schema$'
UNION ALL SELECT 'column', attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, atttypmod) || coalesce(attacl::text, '')
    || coalesce(pg_get_expr(adbin, adrelid), '') || attidentity::text
  FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
  WHERE n.nspname !~ '^pg_|^information_schema$' AND attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p', 'v', 'm')
UNION ALL SELECT 'index', pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_|^information_schema$'
UNION ALL SELECT 'constraint', conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
  WHERE conrelid <> 0 AND contype <> 'n' AND connamespace <> 'information_schema'::regnamespace
    AND connamespace <> 'pg_catalog'::regnamespace
UNION ALL SELECT 'trigger', pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'policy', polrelid::regclass || ' ' || polname || ' ' || pg_get_expr(polqual, polrelid) FROM pg_policy
UNION ALL SELECT 'rule', ev_class::regclass || ' ' || rulename FROM pg_rewrite WHERE rulename <> '_RETURN'
UNION ALL SELECT 'statistics', stxrelid::regclass || ' ' || stxname FROM pg_statistic_ext
UNION ALL SELECT 'comment', objsubid || ' ' || description FROM pg_description
  WHERE classoid IN ('pg_class'::regclass, 'pg_trigger'::regclass) AND objoid >= 16384
UNION ALL SELECT 'owned', objid::regclass || ' by ' || refobjid::regclass || '.' || refobjsubid FROM pg_depend
  WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i') AND refobjsubid > 0
    AND (SELECT relkind FROM pg_class WHERE oid = objid) = 'S'
UNION ALL SELECT 'large object', loid || ' ' || encode(data, 'hex') FROM pg_largeobject
UNION ALL SELECT 'inherits', inhrelid::regclass || ' of ' || inhparent::regclass FROM pg_inherits
ORDER BY 1, 2`;

/** Everything of a database that a restore must bring back: rows by hash, and what stands in the catalogue. */
export async function fingerprint(
  postgres: Postgres,
  database: string,
): Promise<Readonly<Record<string, readonly string[]>>> {
  const found: Record<string, string[]> = {};
  for (const { kind, what } of await postgres.sql<{ kind: string; what: string }>(catalogue, database)) {
    (found[kind] ??= []).push(what);
  }
  found['rows'] = [];
  for (const { name, kind } of await postgres.sql<{ name: string; kind: string }>(relations, database)) {
    const rows = kind === 'S' ? `SELECT last_value, is_called FROM ${name}` : `SELECT * FROM ONLY ${name}`;
    const [sum] = await postgres.sql<{ sum: string }>(
      `SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, ',' ORDER BY t::text)), '') AS sum FROM (${kind === 'm' ? `SELECT * FROM ${name}` : rows}) t`,
      database,
    );
    found['rows'].push(`${name} ${sum?.sum}`);
  }
  return found;
}
