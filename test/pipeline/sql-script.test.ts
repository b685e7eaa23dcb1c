import { array, assert, asyncProperty, constantFrom, integer } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { readSqlScript, textOf } from '../../src/pipeline/sql-script.ts';
import type { SqlScriptOptions } from '../../src/pipeline/sql-script-options.ts';
import { collect, inPieces, rejection } from './streams.ts';

const whole: SqlScriptOptions = { part: 'whole', oneTransaction: false };

async function read(text: string | Buffer, options = whole, size = 1 << 20) {
  const script = readSqlScript(inPieces(Buffer.from(text), size), options);
  const bytes = await collect(textOf(script));
  return { text: bytes.toString(), notes: script.notes(), databases: script.databases() };
}

/** Statements with the line they begin in. */
async function cut(text: string, size = 1 << 20, conforming = true) {
  const script = readSqlScript(inPieces(Buffer.from(text), size), whole);
  const found: { line: number; text: string; rows: string | undefined; entry: string | undefined }[] = [];
  for (;;) {
    const statement = await script.next(conforming);
    if (statement === undefined) return found;
    const { line, entry, rows } = statement;
    expect(Buffer.concat(statement.text)).toHaveLength(statement.bytes);
    found.push({
      line,
      text: Buffer.concat(statement.text).toString(),
      rows: rows === undefined ? undefined : (await collect(rows)).toString(),
      entry,
    });
  }
}

async function refusal(text: string | Buffer, options = whole, size = 1 << 20): Promise<string> {
  const error = await rejection(read(text, options, size));
  if (!(error instanceof Failure)) throw error;
  return `${error.reason}: ${error.message}`;
}

const dump = [
  '--\n-- PostgreSQL database dump\n--\n',
  '\\restrict abc123\n',
  '-- Dumped from database version 15.18',
  "SET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;",
  "SELECT pg_catalog.set_config('search_path', '', false);",
  "CREATE TABLE public.t (a integer, \"b \\! c\" text DEFAULT E'\\'\\\\! x');",
  "CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $_$ begin return '\\! $$'; end $_$;",
  'CREATE FUNCTION g() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;',
  'COPY public.t (a, b) FROM stdin;\n1\t\\\\! echo\n\\N\t\\! no command\n\\.more\n\\.\n',
  "INSERT INTO public.t VALUES (1, '\\! x; -- '' y');",
  '/* a /* nested */ \\! comment */',
  '-- \\! comment',
  'SELECT a[1:2], x::text FROM t;',
  '--\n-- PostgreSQL database dump complete\n--\n',
  '\\unrestrict abc123\n',
].join('\n');

describe('A script of pg_dump', () => {
  it('is cut into its statements and rows, each with its line and what it is about', async () => {
    const found = await cut(
      dump.replace('COPY public.t', '-- Data for Name: t; Type: TABLE DATA; Schema: public; Owner: o\nCOPY public.t'),
    );

    const lines = found.map(({ line, text }) => [line, text.slice(0, 24)]);
    expect(lines).toEqual([
      [8, "SET client_encoding = 'U"],
      [9, 'SET standard_conforming_'],
      [10, 'SELECT pg_catalog.set_co'],
      [11, 'CREATE TABLE public.t (a'],
      [12, 'CREATE FUNCTION f() RETU'],
      [13, 'CREATE FUNCTION g() RETU'],
      [15, 'COPY public.t (a, b) FRO'],
      [21, 'INSERT INTO public.t VAL'],
      [24, 'SELECT a[1:2], x::text F'],
    ]);
    expect(found[6]).toMatchObject({
      rows: '1\t\\\\! echo\n\\N\t\\! no command\n\\.more\n',
      entry: 'TABLE DATA public.t',
    });
    expect((await read(dump)).notes).toEqual([]);
  });

  it('is read the same in pieces of any size', async () => {
    const expected = (await read(dump)).text;
    for (const size of [1, 2, 3, 5, 7, 13, 64, 200]) expect((await read(dump, whole, size)).text).toBe(expected);
  });

  it('loses the mark of UTF-8 at its beginning', async () => {
    expect((await read(`\u{feff}SELECT 1;\n`)).text).toBe('SELECT 1;\n');
  });

  it('of our own pg_restore is whole only with its last line, even if nothing came', async () => {
    const own = { ...whole, ofOurOwn: true };
    await expect(read(dump, own)).resolves.toBeDefined();
    expect(await refusal('', own)).toMatch(/^FileDamaged: the script is cut short/);
    expect(await refusal('SELECT 1;\n', own)).toMatch(/^FileDamaged: the script is cut short/);
  });

  it('cut anywhere is damaged, and never ends well', async () => {
    const end = dump.indexOf('-- PostgreSQL database dump complete');
    await assert(
      asyncProperty(integer({ min: 40, max: end }), async (length) => {
        expect(await refusal(dump.slice(0, length))).toMatch(/^(FileDamaged|SqlRefused)/);
      }),
      { seed: 7, numRuns: 200 },
    );
  });

  it.each([
    ["SELECT 'abc", 'FileDamaged: the script ends inside of a string'],
    ['SELECT "abc', 'inside of a quoted name'],
    ['SELECT 1 /* x', 'inside of a comment'],
    ['SELECT $a$ x $b$', 'inside of a dollar-quoted string'],
    ['COPY t FROM stdin;\n1\n', 'inside of the rows of a COPY'],
    ['COPY t FROM stdin', 'inside of a COPY'],
    ['SELECT 1;\0', 'a zero byte'],
  ])('%j is damaged', async (text, message) => {
    expect(await refusal(text)).toContain(message);
  });

  it('may end without a semicolon, or with rows whose end has no line feed', async () => {
    expect((await read('SELECT 1')).text).toBe('SELECT 1\n');
    expect((await read('SELECT 1 -- one')).text).toBe('SELECT 1 -- one\n');
    expect((await read('SELECT 1; -- one')).text).toBe('SELECT 1;\n');
    expect((await read('SELECT 1;\n1')).text).toBe('SELECT 1;\n1\n');
    expect((await read('SELECT 1;\nCREATE ROLE a')).text).toBe('SELECT 1;\n');
    expect((await read('COPY t FROM stdin;\n1\n\\.')).text).toBe('COPY t FROM stdin;\n1\n\\.\n');
    const returns = await cut('COPY t FROM stdin;\r\n1\r\n\\.\r\nSELECT 1;\r\n');
    expect(returns.map(({ text, rows }) => [text, rows])).toEqual([
      ['COPY t FROM stdin;', '1\r\n'],
      ['SELECT 1;', undefined],
    ]);
  });

  it('is cut as its settings say', async () => {
    const text = "INSERT INTO t VALUES ('a\\'); SELECT 2; -- '";
    expect((await cut(text)).map((found) => found.text)).toEqual(["INSERT INTO t VALUES ('a\\');", 'SELECT 2;']);
    expect((await cut("SELECT 'a\\'; SELECT 2';", 3, false)).map((found) => found.text)).toEqual([
      "SELECT 'a\\'; SELECT 2';",
    ]);
  });

  it('may go on with a string in the next line, as the server reads it', async () => {
    for (const end of ['\n', '\r', ' -- c\n ']) {
      const text = `SELECT E'a'${end}'b\\'; c';`;
      expect((await cut(text, 1)).map((found) => found.text)).toEqual([text]);
    }
    expect((await cut("SELECT E'a' 'b\\'; SELECT 2;")).length).toBe(2);
  });
});

describe('Commands of psql', () => {
  it.each([
    ['SELECT 1;\n\\! rm -rf /\n', 'SqlRefused: line 2: the command \\!'],
    ['SELECT 1 \\g |sh\n', 'line 1: the command \\g'],
    ["\\copy t from program 'x'\n", 'the command \\copy'],
    ['SELECT 1; \\i file\n', 'the command \\i'],
    ["SELECT 'a' \\; SELECT 2;\n", 'the command \\;'],
    ['-- c\r\\! x\n', 'the command \\!'],
    ["SELECT E'a' || 'b\\' \\! x\n';", 'the command \\!'],
    ['COPY t FROM stdin;\n1\n\\.\n\\! x\n', 'line 4: the command \\!'],
    ['SELECT $1$ \\! x $1$;', 'the command \\!'],
    ['SELECT a$b$ \\! x $b$;', 'the command \\!'],
    ['(COPY t FROM stdin;\n\\! x\n', 'the command \\!'],
    ['CREATE FUNCTION f() BEGIN ATOMIC COPY t FROM stdin;\n\\! x\n', 'the command \\!'],
    ['SELECT 1;\n\\restrict abc\n', 'the command \\restrict'],
    ['\\restrict abc\n\\restrict abc\n', 'the command \\restrict'],
    ['\\restrict abc\nSELECT 1;\n\\unrestrict abd\n', 'the command \\unrestrict'],
    ['\\restrict abc \\! x\n', 'the command \\restrict'],
    ['\\connect other\nSELECT 1;\n\\connect more\n', 'line 3: the command \\connect'],
    ['\\encoding SQL_ASCII\nSELECT 1;\n', 'line 2: a statement behind'],
    ['\\encoding SJIS\n\\connect x\n', 'the command \\encoding'],
    ['\\connect "dbname=\'x\' host=evil"\n', 'the command \\connect'],
    ["\\connect -reuse-previous=on \"dbname='x' host='evil'\"\n", 'the command \\connect'],
  ])('%j is refused', async (text, message) => {
    expect(await refusal(text)).toContain(message);
    expect(await refusal(text, whole, 1)).toContain(message);
  });

  it.each([
    ['COPY t FROM stdin; SELECT 1;\n\\.\n', 'behind COPY'],
    ["SELECT 1e'x\\' \\! x\n';", 'a number that runs into a word'],
    ['SELECT 1_0$a$ x $a$;', 'a number that runs into a word'],
  ])('%j is refused, because not everybody reads it alike', async (text, message) => {
    expect(await refusal(text)).toContain(message);
  });

  it.each([
    ['SET standard_conforming_strings = off;', 'standard_conforming_strings'],
    ["SET client_encoding = 'SJIS';", 'the encoding SJIS'],
    ["SET NAMES 'BIG5';", 'the encoding BIG5'],
  ])('%j is refused where it is only read over: no server tells what it means', async (text, message) => {
    expect(await refusal(text, { part: 'nothing', oneTransaction: false })).toContain(message);
    expect((await read(`${text}\n`)).text).toBe(`${text}\n`);
  });

  it('are found wherever they stand between statements of a dump, and never inside of what is no SQL', async () => {
    const lines = dump.split('\n');
    const restrictedFrom = lines.indexOf('\\restrict abc123');
    for (let at = 0; at <= lines.length; at += 1) {
      const text = [...lines.slice(0, at), '\\! x', ...lines.slice(at)].join('\n');
      const inRows = lines.slice(0, at).some((line) => line.startsWith('COPY')) && !lines.slice(0, at).includes('\\.');
      if (inRows) expect((await read(text)).text, `line ${at + 1}`).toContain('\n\\! x\n');
      else
        expect(await refusal(text), `line ${at + 1} of ${restrictedFrom}`).toContain(`line ${at + 1}: the command \\!`);
    }
  });
});

// prettier-ignore
const fragments = [
  "'", "''", '"', "E'", "e'x\\'y'", '$$', '$a$', 'a$b$', '$1', '--', '--c\n', '/*', '*/', '(', ')', ';', '\n', ' ',
  '\r\n', "U&'x'", 'x', '1', '1.5e3 ', 'begin ', 'end ', 'create function f() ', ':', '::', ':x', 'é', '\\! y\n',
  '\n;COPY t FROM stdin;\n1\n\\! x\n\\.\n',
];

describe('Any text', () => {
  it('is read, or refused, the same in pieces of any size', async () => {
    const outcome = async (text: string, size: number): Promise<string> => {
      try {
        return (await read(text, whole, size)).text;
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        return `${error.reason} ${error.message}`;
      }
    };
    await assert(
      asyncProperty(
        array(constantFrom(...fragments), { maxLength: 12 }),
        integer({ min: 1, max: 9 }),
        async (parts, size) => {
          const text = parts.join('');
          expect(await outcome(text, size)).toBe(await outcome(text, 1 << 20));
        },
      ),
      { seed: 11, numRuns: 2000 },
    );
  });
});

const cluster = [
  '--\n-- PostgreSQL database cluster dump\n--\n',
  '\\restrict r1\n',
  'SET default_transaction_read_only = off;',
  'DROP DATABASE foo;',
  "CREATE ROLE bob;\nALTER ROLE bob WITH LOGIN PASSWORD 'x';\nGRANT admins TO bob;",
  "CREATE TABLESPACE fast LOCATION '/fast';",
  '\\unrestrict r1\n',
  '\\connect template1\n',
  '--\n-- PostgreSQL database dump\n--\n\\restrict r2\nSET row_security = off;\n--\n-- PostgreSQL database dump complete\n--\n\\unrestrict r2\n',
  '--\n-- PostgreSQL database dump\n--\n\\restrict r3\nCREATE DATABASE foo WITH TEMPLATE = template0;\nALTER DATABASE foo OWNER TO bob;\n\\unrestrict r3\n\\connect foo\n\\restrict r3\n',
  "ALTER DATABASE foo SET work_mem TO '8MB';\n\\unrestrict r3\n\\connect foo\n\\restrict r3\n",
  'CREATE TABLE foo_table (a integer);\nGRANT CONNECT ON DATABASE foo TO bob;\n--\n-- PostgreSQL database dump complete\n--\n\\unrestrict r3\n',
  '--\n-- PostgreSQL database dump\n--\n\\restrict r4\nCREATE DATABASE "it\'s";\n\\unrestrict r4\n\\encoding SQL_ASCII\n\\connect -reuse-previous=on "dbname=\'it\\\'s\'"\n\\restrict r4\nCREATE TABLE its_table (a integer);\n--\n-- PostgreSQL database dump complete\n--\n\\unrestrict r4\n',
  '--\n-- PostgreSQL database cluster dump complete\n--\n',
].join('\n');

describe('A script of pg_dumpall', () => {
  it('tells its databases', async () => {
    expect(await read(cluster, { part: 'nothing', oneTransaction: false })).toEqual({
      text: '',
      notes: [],
      databases: ['template1', 'foo', "it's"],
    });
  });

  it('gives one database, without statements about roles and databases, and counts those', async () => {
    for (const size of [1, 50, 1 << 20]) {
      const { text, notes } = await read(cluster, { part: { database: 'foo' }, oneTransaction: false }, size);

      expect(text).toContain('CREATE TABLE foo_table (a integer);');
      expect(text).not.toMatch(/its_table|DATABASE foo|ROLE|\\/);
      expect(notes).toEqual([
        '3 statements about databases left out',
        '3 statements about roles left out',
        '1 statement about tablespaces left out',
      ]);
    }
    const other = await read(cluster, { part: { database: "it's" }, oneTransaction: false });
    expect(other.text).toContain('its_table');
    expect(other.text).not.toContain('foo_table');
  });

  it('gives what stands before the first database, without what would drop', async () => {
    const { text } = await read(cluster, { part: 'globals', oneTransaction: false });

    expect(text).toContain("ALTER ROLE bob WITH LOGIN PASSWORD 'x';");
    expect(text).toContain('GRANT admins TO bob;');
    expect(text).not.toMatch(/DROP|foo|\\/);
  });

  it('that was cut after the wanted database is damaged all the same', async () => {
    const cut = cluster.slice(0, cluster.indexOf('its_table'));

    expect(await refusal(cut, { part: { database: 'foo' }, oneTransaction: false })).toMatch(/^FileDamaged/);
  });

  it('with a command in another database than the wanted one is refused all the same', async () => {
    const text = cluster.replace('CREATE TABLE its_table', '\\! x\nCREATE TABLE its_table');

    expect(await refusal(text, { part: { database: 'foo' }, oneTransaction: false })).toContain('the command \\!');
  });
});

describe('Statements that are not about the content of a database', () => {
  it.each([
    'CREATE DATABASE x;',
    'CREATE USER x;',
    'ALTER ROLE x SET a = b;',
    'DROP GROUP x;',
    "COMMENT ON DATABASE x IS 'y';",
    'GRANT ALL ON DATABASE x TO y;',
    'REVOKE a FROM b;',
    'ALTER SYSTEM SET a = b;',
    "UPDATE pg_catalog.pg_database SET datistemplate = false WHERE datname = 'x';",
    "SECURITY LABEL FOR p ON ROLE x IS 'y';",
    'DROP /* c */ TABLESPACE\n x;',
  ])('%s is left out', async (statement) => {
    const { text, notes } = await read(`SELECT 1;\n${statement}\nSELECT 2;\n`);

    expect(text).toBe('SELECT 1;\nSELECT 2;\n');
    expect(notes).toHaveLength(1);
  });

  it.each([
    'CREATE USER MAPPING FOR x SERVER y;',
    'GRANT SELECT ON TABLE x TO y;',
    'ALTER DEFAULT PRIVILEGES FOR ROLE x GRANT SELECT ON TABLES TO y;',
    "COMMENT ON TABLE x IS 'CREATE DATABASE';",
    'CREATE TABLE database (role int);',
    'GRANT SELECT ON "database" TO y;',
  ])('%s is not', async (statement) => {
    expect((await read(`${statement}\n`)).text).toBe(`${statement}\n`);
  });

  it('and empty ones are left out, without a word', async () => {
    const rows = 'COPY t FROM stdin;\n1\n\\.\n';

    expect(await read(`${rows};${rows}/* c */ ; ;\nSELECT 1;`)).toEqual({
      text: `${rows}${rows}SELECT 1;\n`,
      notes: [],
      databases: [],
    });
  });

  it('and that begin or end a transaction are left out where all is one transaction, or refused', async () => {
    const script = 'BEGIN;\nSELECT 1;\nSAVEPOINT a;\nROLLBACK TO a;\nCOMMIT;\n';
    const one = { part: 'whole', oneTransaction: true } as const;

    expect((await read(script)).text).toBe(script);
    expect((await read(script, one)).text).toBe('SELECT 1;\nSAVEPOINT a;\nROLLBACK TO a;\n');
    expect(await refusal('BEGIN;\nROLLBACK;\n', one)).toContain('would end the restore’s transaction');
  });
});
