import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import type { Bytes } from '../../src/pipeline/bytes.ts';
import { readSqlScript, type SqlScript } from '../../src/pipeline/sql-script.ts';
import { LeftTransaction } from '../../src/postgres/left-transaction.ts';
import { loadScript, type ScriptOptions } from '../../src/postgres/load-script.ts';
import { openLoadSession } from '../../src/postgres/load-session.ts';
import { loadStatements } from '../../src/postgres/load-statements.ts';
import type { Server } from '../../src/postgres/server.ts';
import { startupOptions } from '../../src/postgres/steady-session.ts';
import { inPieces, rejection } from '../pipeline/streams.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { openLoadStand, type LoadStand } from './load-stand.ts';

const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const about = { subject: 'the script', damaged: 'FileDamaged' } as const;

describe.skipIf(binDirs.length === 0).each(binDirs)('a script on a server of %s', (binDir) => {
  let stand: LoadStand;
  beforeAll(async () => {
    stand = await openLoadStand(binDir, binDirs, { max_prepared_transactions: '5' });
    await stand.at.postgres.sql("CREATE ROLE loader LOGIN SUPERUSER PASSWORD 'pw'");
  });
  afterAll(() => stand?.at.remove());
  beforeEach(async () => {
    await stand.fresh('back');
    await stand.at.postgres.sql('CREATE TABLE keep (a text)', 'back');
  });

  const tables = async (): Promise<string> =>
    (
      await stand.at.postgres.sql<{ name: string }>(
        `SELECT string_agg(relname, ' ' ORDER BY relname) AS name FROM pg_class WHERE relkind = 'r' AND oid >= 16384`,
        'back',
      )
    )[0]?.name ?? '';
  const kept = async (): Promise<unknown> =>
    (await stand.at.postgres.sql('SELECT a FROM keep ORDER BY 1', 'back')).map((row) => row['a']);
  /** As a restore runs it. */
  const load = (script: string | Buffer, changes: Partial<ScriptOptions> = {}, server: Server = stand.at.server) =>
    loadScript(
      { server, serverMajor: stand.major },
      () => inPieces(Buffer.from(script), 1000),
      { database: 'back', singleTransaction: true, part: 'whole', ...changes },
      never,
    );
  /** All is one transaction, and the reader lets everything through: what the server tells is all there is. */
  const loadUnread = async (script: SqlScript, signal = never): Promise<void> => {
    const session = await openLoadSession(stand.at.server, 'back', signal);
    try {
      await loadStatements(session, script, { transaction: 'commit', without: [], about });
    } finally {
      await session.close();
    }
  };
  const unread = (text: string): SqlScript =>
    readSqlScript(inPieces(Buffer.from(text), 1000), { part: 'whole', oneTransaction: false });
  /** A reader that cuts as it likes. */
  const cutAs = (...statements: readonly (readonly [text: string, rows?: string])[]): SqlScript => {
    const left = [...statements];
    return {
      ...unread(''),
      async next() {
        const [text, rows] = left.shift() ?? [undefined];
        if (text === undefined) return undefined;
        const bytes = Buffer.from(text);
        const given: Bytes | undefined = rows === undefined ? undefined : inPieces(Buffer.from(rows), 3);
        return { text: [bytes], bytes: bytes.length, line: 1, words: [], entry: undefined, rows: given };
      },
    };
  };

  describe('that ends the transaction it runs in', () => {
    const first = "INSERT INTO keep VALUES ('first');\n";
    test.each([
      ['COMMIT;', true],
      ['END;', true],
      ['COMMIT AND CHAIN;', true],
      ['ROLLBACK;', false],
      ['ABORT;', false],
      ['ROLLBACK AND CHAIN;', false],
      ['SAVEPOINT s; COMMIT AND CHAIN;', true],
    ])('by %s is told what stays', async (end, committed) => {
      const failure = await rejection(loadUnread(unread(`${first}${end}\nINSERT INTO keep VALUES ('later');`)));

      expect(failure).toBeInstanceOf(LeftTransaction);
      expect(failure).toMatchObject({ reason: 'RestoreFailed', committed });
      expect((failure as Failure).message).toMatch(/^line 2: the script ended the transaction that it was run in/);
      expect(await kept()).toEqual(committed ? ['first'] : []);
      expect((failure as Failure).hint).toBe('take the statement out, or restore with mode Replace or Create');
    });

    test('loads without the statement, or where each has its own transaction', async () => {
      const rest = "INSERT INTO keep VALUES ('later');";
      await loadUnread(unread(`${first}${rest}`));
      expect(await kept()).toEqual(['first', 'later']);
      for (const end of ['COMMIT;', 'ROLLBACK;', 'BEGIN; COMMIT AND CHAIN; COMMIT;', 'BEGIN; ROLLBACK;']) {
        await stand.at.postgres.sql('TRUNCATE keep', 'back');
        await load(`${first}${end}\n${rest}`, { singleTransaction: false });
        expect(await kept()).toEqual(['first', 'later']);
      }
    });

    test('by preparing it is told where it lies', async () => {
      const failure = await rejection(loadUnread(unread(`${first}PREPARE TRANSACTION 'left';`)));

      expect(failure).toMatchObject({
        committed: true,
        message: expect.stringContaining('pg_prepared_xacts') as string,
      });
      await stand.at.postgres.sql("ROLLBACK PREPARED 'left'", 'back');
      expect(await kept()).toEqual([]);
    });

    test('by a procedure is refused by the server, and by a savepoint nothing ends', async () => {
      const procedure = 'CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;\nCALL p();';
      expect(await rejection(loadUnread(unread(first + procedure)))).toMatchObject({ reason: 'RestoreFailed' });
      expect(await kept()).toEqual([]);
      await loadUnread(unread(`${first}SAVEPOINT s;\nDELETE FROM keep;\nROLLBACK TO s;\nRELEASE s;`));
      expect(await kept()).toEqual(['first']);
    });

    test('is refused as it is read, with its line, before anything ends', async () => {
      for (const end of ['ROLLBACK', 'COMMIT AND CHAIN', "/* c */ PREPARE TRANSACTION 'x'", 'rollback and no chain']) {
        const failure = await rejection(load(`${first}${end};`));
        expect(failure).toMatchObject({ reason: 'SqlRefused', message: expect.stringMatching(/^line 2: /) as string });
        expect(await kept()).toEqual([]);
      }
    });

    test('at its own COMMIT fails, when a deferred constraint says no: nothing stays', async () => {
      const script = 'CREATE TABLE u (a int UNIQUE DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO u VALUES (1), (1);';
      expect(await rejection(load(script))).toMatchObject({ reason: 'ObjectConflict' });
      expect(await tables()).toBe('keep');
    });

    test('and never began or ended its own is not whole', async () => {
      const script = "BEGIN;\nINSERT INTO keep VALUES ('a');";
      expect(await rejection(load(script, { singleTransaction: false }))).toMatchObject({ reason: 'FileDamaged' });
      expect(await kept()).toEqual([]);
    });
  });

  describe('that is cut wrongly', () => {
    test('is an error of the server where several statements are one', async () => {
      expect(await rejection(loadUnread(cutAs(['SELECT 1; DROP TABLE keep'])))).toMatchObject({
        reason: 'RestoreFailed',
        message: expect.stringContaining('multiple commands') as string,
      });
      expect(await kept()).toEqual([]);
    });

    test('never has its rows taken for statements, or its statements for rows', async () => {
      const rows = "1\nDROP TABLE keep;\nCOPY keep FROM PROGRAM 'touch x';\n";
      expect(await rejection(loadUnread(cutAs(['SELECT 1', rows])))).toMatchObject({ reason: 'SqlRefused' });
      expect(await rejection(loadUnread(cutAs(['', rows])))).toMatchObject({ reason: 'SqlRefused' });
      expect(await rejection(loadUnread(cutAs(['COPY nothing FROM stdin', rows])))).toMatchObject({
        reason: 'RestoreFailed',
      });
      expect(await rejection(loadUnread(cutAs(['COPY keep FROM stdin'], ['DROP TABLE keep'])))).toMatchObject({
        reason: 'SqlRefused',
        message: expect.stringContaining('asks for rows') as string,
      });
      await loadUnread(cutAs(['COPY keep FROM stdin', rows]));
      expect(await kept()).toEqual(['1', "COPY keep FROM PROGRAM 'touch x';", 'DROP TABLE keep;']);
    });

    test('is refused where it would send rows to us', async () => {
      for (const text of ['COPY keep TO stdout;', 'COPY (SELECT 1) TO STDOUT WITH BINARY;']) {
        expect(await rejection(load(text))).toMatchObject({
          reason: 'SqlRefused',
          message: expect.stringMatching(/^line 1: a statement that sends rows/) as string,
        });
      }
    });
  });

  describe('that would have psql do something', () => {
    const canary = (): string => join(stand.tools.folder, 'canary');
    const commands = (): readonly string[] => [
      `\\! touch ${canary()}`,
      `\\unrestrict \`touch ${canary()}\``,
      `\\restrict \`touch ${canary()}\``,
      `\\copy keep from program 'touch ${canary()}'`,
      `\\copy keep to '${canary()}'`,
      `\\o ${canary()}`,
      `\\g |touch ${canary()}`,
      `\\w ${canary()}`,
      `\\i ${canary()}`,
      `\\set x \`touch ${canary()}\``,
      `\\connect \`touch ${canary()}\``,
      `\\gexec`,
      `\\watch`,
      `\\setenv PAGER 'touch ${canary()}'`,
    ];
    const contexts: readonly ((command: string) => string)[] = [
      (command) => `SELECT 1;\n${command}\n`,
      (command) => `SELECT 1 ${command}\n`,
      (command) => `SELECT E'\\'' ${command}\n;`,
      (command) => `SELECT E'a'\n'b\\'' ${command}\n;`,
      (command) => `SELECT 1e'x\\' ${command}\n';`,
      (command) => `SELECT 'a\\' ${command}\n;`,
      (command) => `SELECT $a$x$b$ $a$ ${command}\n;`,
      (command) => `SELECT 1 AS a$b$ ${command}\n;--$b$`,
      (command) => `/* /* */ */ ${command}\n`,
      (command) => `SELECT 1 --\r${command}\n;`,
      (command) => `COPY keep FROM stdin;\n\\.\n${command}\n`,
      (command) => `COPY keep FROM stdin;;\n${command}\n\\.\n`,
      (command) => `COPY keep FROM stdin (FORMAT csv);\n"\n\\.\n${command}\n"\n\\.\n`,
      (command) => `CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1;\n${command}\nEND;`,
      (command) => `SET standard_conforming_strings = off;\nSELECT 'a\\'';\n${command}\n;--'`,
      (command) => `SET client_encoding = 'SJIS';\nSELECT '\x95';\n${command}\n;`,
      (command) => `BEGIN;\n${command}\nCOMMIT;`,
      (command) => `\ufeff${command}\n`,
      (command) => `SELECT :'x' ${command}\n;`,
      (command) => `SELECT U&'\\' ${command}\n;`,
      (command) => `SELECT "\\" ${command}\n;`,
    ];

    test('has nobody who does it: no file, whatever stands before the command', async () => {
      let refused = 0;
      for (const context of contexts) {
        for (const command of commands()) {
          const failure = await load(Buffer.from(context(command), 'latin1')).then(
            () => undefined,
            (error: unknown) => error,
          );
          if (failure === undefined) continue;
          refused += 1;
          expect(['SqlRefused', 'RestoreFailed', 'FileDamaged']).toContain((failure as Failure).reason);
        }
      }
      expect(refused).toBeGreaterThan(contexts.length * 10);
      expect(await rejection(access(canary()))).toMatchObject({ code: 'ENOENT' });
      expect(await kept()).toEqual([]);
    });
  });

  describe('that changes settings', () => {
    const asLoader = async (setting: string, direct: boolean): Promise<Server> => {
      await stand.at.postgres.sql('ALTER ROLE loader RESET ALL');
      await stand.at.postgres.sql(`ALTER ROLE loader SET ${setting}`);
      const server = { ...stand.at.server, user: 'loader', password: 'pw' };
      return direct ? { ...server, startupOptions: startupOptions({ major: stand.major }) } : server;
    };

    test.each([
      'RESET ALL;',
      'RESET standard_conforming_strings;',
      "SELECT set_config('standard_conforming_strings', 'on', false);",
    ])('is cut as the server reads it: %s with a role that has strings otherwise', async (statement) => {
      const script = `${statement}\nINSERT INTO keep VALUES ('a\\');\nINSERT INTO keep VALUES ('b'); -- '`;
      const server = await asLoader('standard_conforming_strings = off', true);
      await load(script, {}, server);
      expect(await kept()).toEqual(['a\\', 'b']);
    });

    test('is cut as the server reads it with strings that are escaped, until they are not', async () => {
      const server = await asLoader('standard_conforming_strings = off', false);
      const escaped = "INSERT INTO keep VALUES ('a\\'; b');\n";
      await load(
        `RESET ALL;\n${escaped}SET standard_conforming_strings = on;\nINSERT INTO keep VALUES ('c\\');`,
        {},
        server,
      );
      expect(await kept()).toEqual(["a'; b", 'c\\']);
      const local =
        "BEGIN; SET LOCAL standard_conforming_strings = off;\nINSERT INTO keep VALUES ('d\\';');\nCOMMIT;\n";
      await load(`${local}INSERT INTO keep VALUES ('e\\');`, { singleTransaction: false });
      expect(await kept()).toEqual(["a'; b", 'c\\', "d';", 'e\\']);
    });

    test('sends its bytes as they are, in the encoding that it says', async () => {
      const script = Buffer.from(
        "SET client_encoding = 'LATIN1';\nINSERT INTO keep VALUES ('é');\nCOPY keep FROM stdin;\nü\n\\.\n",
        'latin1',
      );
      await load(script);
      expect(await kept()).toEqual(['é', 'ü']);
      expect(await rejection(load(Buffer.from("INSERT INTO keep VALUES ('é');", 'latin1')))).toMatchObject({
        reason: 'RestoreFailed',
        message: expect.stringContaining('invalid byte sequence') as string,
      });
      await load(
        Buffer.from("INSERT INTO keep VALUES ('ö');", 'latin1'),
        {},
        await asLoader("client_encoding = 'LATIN1'", true),
      );
      expect(await kept()).toEqual(['é', 'ö', 'ü']);
    });

    test('is refused in an encoding where a backslash is half a character, however it is set', async () => {
      for (const set of ["SET client_encoding = 'SJIS'", "SELECT set_config('client_' || 'encoding', 'GBK', false)"]) {
        expect(await rejection(load(`SELECT 1;\n${set};\nSELECT 2;`))).toMatchObject({
          reason: 'SqlRefused',
          message: expect.stringMatching(/^line 2: the encoding/) as string,
        });
      }
    });

    test('cannot change what we say ourselves', async () => {
      const script = `CREATE SCHEMA evil;
CREATE FUNCTION evil.pg_current_xact_id_if_assigned() RETURNS text LANGUAGE sql AS $$ SELECT '1' $$;
SET search_path = evil, pg_catalog, public;
SAVEPOINT a;
ROLLBACK TO a;
DO $$ BEGIN CREATE ROLE nobody_here; END $$;
SET session_replication_role = replica;
GRANT ALL ON SCHEMA evil TO nobody_here;
SET SESSION AUTHORIZATION nobody_here;
CREATE TABLE evil.none ();
ROLLBACK TO a;
INSERT INTO public.keep VALUES ('in');`;
      // Rights of schemas are none of ours.
      await load(script);
      expect(await kept()).toEqual(['in']);
    });

    test.each([true, false])('may reset or discard all of them at its end (one transaction: %s)', async (one) => {
      const script =
        "INSERT INTO keep VALUES ('a');\nSET statement_timeout = 0;\nRESET ALL;\nSET SESSION AUTHORIZATION DEFAULT;\n";
      await load(one ? script : `${script}DISCARD ALL;\n`, { singleTransaction: one });
      expect(await kept()).toEqual(['a']);
    });

    test('of a newer pg_dump has out what this server does not know, and says so', async () => {
      const script = "SET transaction_timeout = 0;\nINSERT INTO keep VALUES ('a');";
      const { notes } = await load(script);
      expect(await kept()).toEqual(['a']);
      expect(notes).toEqual(
        stand.major >= 17 ? [] : ['the setting transaction_timeout, which this server does not know, left out'],
      );
    });
  });

  describe('with answers that are large', () => {
    test('is read in bounded memory: a row of 200 MB, many rows, many notices', async () => {
      const script = `SELECT repeat('x', 200000000);
SELECT repeat('x', 1000) FROM generate_series(1, 100000);
DO $$ BEGIN FOR i IN 1..50000 LOOP RAISE WARNING '%', repeat('x', 1000); END LOOP; END $$;
NOTIFY a, 'b'; LISTEN a;
INSERT INTO keep VALUES ('end');`;
      const before = process.memoryUsage.rss();
      let peak = 0;
      const watch = setInterval(() => {
        peak = Math.max(peak, process.memoryUsage.rss());
      }, 5);
      try {
        await load(script);
      } finally {
        clearInterval(watch);
      }
      expect(await kept()).toEqual(['end']);
      expect(peak - before).toBeLessThan(100 * 1024 * 1024);
    });

    test.each(['SELECT generate_series(1, 1000000000000);', 'SELECT pg_sleep(100000);'])(
      '%s ends when it is stopped',
      async (text) => {
        const stop = new AbortController();
        const script = unread(`SELECT 1;\n${text}`);
        const next = script.next.bind(script);
        let count = 0;
        const watched: SqlScript = {
          ...script,
          next: async (conforming) => {
            count += 1;
            const statement = await next(conforming);
            if (count === 2) setImmediate(() => stop.abort());
            return statement;
          },
        };
        expect(await rejection(loadUnread(watched, stop.signal))).toMatchObject({ reason: 'Aborted' });
      },
    );
  });

  describe('that fails', () => {
    const tell = async (script: string): Promise<{ reason: string; message: string }> => {
      const failure = await rejection(load(script));
      if (!(failure instanceof Failure)) throw failure;
      return failure;
    };

    test('tells the line, what pg_dump calls it, and the statement without its literals', async () => {
      const script = `--
-- Name: t; Type: TABLE; Schema: public; Owner: admin
--

CREATE TABLE t (
  a text
    DEFAULT 'é\n' nonsense
);`;
      expect((await tell(script)).message).toBe(
        'the script for database "back" failed: ERROR:  syntax error at or near "nonsense" (line 8, TABLE public.t, in: CREATE TABLE t ()',
      );
      const secret = await tell("CREATE USER MAPPING FOR x SERVER y OPTIONS (password 'hunter2') nonsense;");
      expect(secret.message).not.toContain('hunter2');
      const row = await tell('CREATE TABLE n (a int NOT NULL, b text);\nCOPY n FROM stdin;\n\\N\thunter2\n\\.\n');
      expect(row.message).toMatch(/null value in column "a".*Failing row contains \(…\).*line 2/);
    });

    test.each([
      ['GRANT SELECT ON keep TO nobody_knows', 'RoleMissing'],
      ['CREATE EXTENSION not_there', 'ExtensionMissing'],
      ['CREATE TABLE keep ()', 'ObjectConflict'],
      ['CREATE TABLE k (a int PRIMARY KEY); INSERT INTO k VALUES (1), (1)', 'ObjectConflict'],
      ["DO $$ BEGIN RAISE 'x' USING ERRCODE = '08006'; END $$", 'RestoreFailed'],
      ["DO $$ BEGIN RAISE 'terminating connection due to administrator command'; END $$", 'RestoreFailed'],
      ["DO $$ BEGIN RAISE 'password authentication failed' USING ERRCODE = '28P01'; END $$", 'RestoreFailed'],
      ["DO $$ BEGIN RAISE 'full' USING ERRCODE = '53100'; END $$", 'DiskFull'],
      ['SELECT $1::int', 'RestoreFailed'],
      ['SET lock_timeout = 0; SET nonsense = 1', 'RestoreFailed'],
      ['SELECT pg_terminate_backend(pg_backend_pid())', 'ConnectionLost'],
    ])('by %s is told as %s, and nothing stays', async (statement, reason) => {
      const failure = await tell(`INSERT INTO keep VALUES ('a');\n${statement};\nSELECT 1;`);
      expect(failure.reason).toBe(reason);
      expect(await kept()).toEqual([]);
    });

    test('while rows are on their way stops them, and the session waits for no more', async () => {
      let asked = 0;
      const rows = async function* (): Bytes {
        yield Buffer.from('CREATE TABLE n (a int);\nCOPY n FROM stdin;\nx\n');
        for (; asked < 1000; asked += 1) yield Buffer.alloc(65536, '1\n');
        yield Buffer.from('\\.\n');
      };
      const failure = await rejection(
        loadScript(
          { server: stand.at.server, serverMajor: stand.major },
          rows,
          { database: 'back', singleTransaction: true, part: 'whole' },
          never,
        ),
      );
      expect(failure).toMatchObject({
        message: expect.stringContaining('invalid input syntax for type integer') as string,
      });
      expect(await tables()).toBe('keep');
    });

    test('before its rows are asked for, by a trigger, is told as that', async () => {
      const trigger = `CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no rows today'; END $$;
CREATE TRIGGER t BEFORE INSERT ON keep FOR EACH STATEMENT EXECUTE FUNCTION no();
COPY keep FROM stdin;\n1\n\\.\n`;
      expect((await tell(trigger)).message).toContain('no rows today');
    });
  });
});
