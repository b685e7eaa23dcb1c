import { array, constantFrom, integer, oneof, tuple, type Arbitrary } from 'fast-check';

/** What breaks readers of SQL, names and rows: quotes, comments, ends of rows, commands of psql, keywords, line ends. */
// prettier-ignore
const pieces = [
  'a', 'B', ' ', '_', '1', "'", '"', '\\', '\\.', '\n', '\r', '\r\n', '\t', ';', '--', '/*', '*/', '$$', '$a$', '$1', '\\!', '\n\\.\n', '\n\\connect x\n', '\\N',
  '{', '}', ',', '(', ')', '[', '%', 'BEGIN', 'end', 'case', 'atomic', 'COPY t FROM stdin;', 'COMMIT;', 'é', 'ß', '😀', '\u00a0', '\u2028', '\u0001', '\u007f', '\ufeff', "E'", "U&'", '`x`', ':x', ":'x'",
];
const text = array(constantFrom(...pieces), { maxLength: 8 }).map((parts) => parts.join(''));
/** Quoted; longer ones are cut by the server, in the middle of a character, too. */
export const oddName = array(constantFrom(...pieces), { minLength: 1, maxLength: 9 }).map(
  (parts) => `"${parts.join('').replaceAll('"', '""')}"`,
);
const literal = text.map((value) => `'${value.replaceAll("'", "''")}'`);
const dollars = text.map((value) => `$odd$${value.replaceAll('$odd$', '')}$odd$`);
const value = oneof({ weight: 4, arbitrary: literal }, { weight: 1, arbitrary: constantFrom('NULL', "''") });

const column = tuple(
  oddName,
  constantFrom('text', 'text', 'varchar', 'json', 'bytea', 'text[]', 'xml', 'name', 'bpchar', 'tsvector'),
  oneof(
    literal.map((given) => `DEFAULT ${given}`),
    constantFrom('', 'NOT NULL', 'COLLATE "C"', 'UNIQUE'),
  ),
);

const table = tuple(
  oddName,
  array(column, { minLength: 1, maxLength: 4 }),
  array(array(value, { minLength: 4, maxLength: 4 }), { maxLength: 4 }),
  literal,
  oddName,
  text,
).map(([name, columns, rows, comment, check, body]) => [
  `CREATE TABLE ${name} (${columns.map((parts) => parts.join(' ')).join(', ')})`,
  `CREATE TABLE ${name} (${columns.map(([title]) => `${title} text`).join(', ')})`,
  ...rows.map((row) => `INSERT INTO ${name} VALUES (${row.slice(0, columns.length).join(', ')})`),
  `COMMENT ON TABLE ${name} IS ${comment}`,
  `COMMENT ON COLUMN ${name}.${columns[0]?.[0]} IS ${comment}`,
  `ALTER TABLE ${name} ADD CONSTRAINT ${check} CHECK (${columns[0]?.[0]}::text IS DISTINCT FROM ${comment} || 'x')`,
  `CREATE RULE ${check} AS ON DELETE TO ${name} DO ALSO (SELECT ${comment}; NOTIFY ${check}; SELECT 1)`,
  `CREATE POLICY ${check} ON ${name} USING (current_user <> ${comment})`,
  `CREATE INDEX ${check} ON ${name} ((${columns[0]?.[0]}::text || ${comment}))`,
  `CREATE VIEW ${check} AS SELECT *, ${comment}::text AS ${check} FROM ${name}`,
  `GRANT SELECT (${columns[0]?.[0]}) ON ${name} TO PUBLIC`,
  `SELECT lo_from_bytea(0, convert_to($odd$${body.replaceAll('$odd$', '')}$odd$, 'UTF8'))`,
]);

const routine = tuple(oddName, oddName, dollars, literal, integer({ min: 0, max: 4 })).map(
  ([name, argument, body, given, kind]) => {
    const bodies = [
      `CREATE FUNCTION ${name}(${argument} text DEFAULT ${given}) RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN ${given} END; SELECT ${given}; END`,
      `CREATE FUNCTION ${name}(${argument} text DEFAULT ${given}) RETURNS text LANGUAGE sql RETURN ${given}`,
      `CREATE FUNCTION ${name}() RETURNS text LANGUAGE plpgsql AS ${body}`,
      `CREATE PROCEDURE ${name}(${argument} int) LANGUAGE plpgsql AS ${body}`,
      `CREATE FUNCTION ${name}(${argument} text) RETURNS text LANGUAGE internal AS 'upper' SET search_path = ${name}`,
    ];
    return ['SET check_function_bodies = off', bodies[kind] ?? '', `COMMENT ON ROUTINE ${name} IS ${given}`];
  },
);

const type = tuple(oddName, array(literal, { minLength: 1, maxLength: 4 }), oddName).map(([name, labels, other]) => [
  `CREATE TYPE ${name} AS ENUM (${labels.join(', ')})`,
  `CREATE DOMAIN ${other} AS text DEFAULT ${labels[0]} CHECK (VALUE <> ${labels[0]} || 'x')`,
  `CREATE TABLE ${other} (a ${name} DEFAULT ${labels[0]}, b ${other}[])`,
  `INSERT INTO ${other} VALUES (${labels[0]}, ARRAY[${labels[0]}]::${other}[])`,
  `CREATE AGGREGATE ${other} (text) (SFUNC = textcat, STYPE = text, INITCOND = ${labels[0]})`,
  `COMMENT ON TYPE ${name} IS ${labels[0]}`,
]);

const partitions = tuple(oddName, oddName, literal).map(([name, part, given]) => [
  `CREATE TABLE ${name} (k text, v text GENERATED ALWAYS AS (k || ${given}) STORED) PARTITION BY LIST (k)`,
  `CREATE TABLE ${part} PARTITION OF ${name} FOR VALUES IN (${given})`,
  `INSERT INTO ${name} VALUES (${given})`,
  `CREATE TABLE ${name}.${part} (a int)`,
  `CREATE SEQUENCE ${part}`,
  `SELECT setval('${part.replaceAll("'", "''")}', 7)`,
]);

const others = tuple(oddName, literal, oddName).map(([name, given, other]) => [
  `CREATE SCHEMA ${name}`,
  `COMMENT ON SCHEMA ${name} IS ${given}`,
  `CREATE TABLE ${name}.${other} (${other} text DEFAULT ${given})`,
  `INSERT INTO ${name}.${other} VALUES (${given}), (DEFAULT)`,
  `ALTER DEFAULT PRIVILEGES IN SCHEMA ${name} GRANT SELECT ON TABLES TO PUBLIC`,
  `CREATE TEXT SEARCH CONFIGURATION ${name}.${other} (COPY = simple)`,
  `CREATE COLLATION ${name}.${other} FROM "C"`,
  `CREATE STATISTICS ${name}.${name} ON ${other}, (${other} || ${given}) FROM ${name}.${other}`,
  `CREATE PUBLICATION ${other} FOR TABLE ${name}.${other}`,
  `CREATE FOREIGN DATA WRAPPER ${other} OPTIONS (${other} ${given})`,
  `CREATE SERVER ${other} FOREIGN DATA WRAPPER ${other} OPTIONS (${other} ${given})`,
  `CREATE FOREIGN TABLE ${name}.f (a int OPTIONS (${other} ${given})) SERVER ${other} OPTIONS (${other} ${given})`,
]);

/** Statements for an empty database, in order; some of them fail, which is nobody's business. */
export const oddDatabase: Arbitrary<readonly string[]> = array(oneof(table, table, routine, type, partitions, others), {
  minLength: 1,
  maxLength: 6,
}).map((groups) => groups.flat());
