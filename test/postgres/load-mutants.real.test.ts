import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { array, constantFrom, integer, nat, sample, tuple } from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { readSqlScript } from '../../src/pipeline/sql-script.ts';
import type { SqlScriptOptions } from '../../src/pipeline/sql-script-options.ts';
import { openLoadSession, type LoadSession } from '../../src/postgres/load-session.ts';
import { loadStatements } from '../../src/postgres/load-statements.ts';
import { inPieces, rejection } from '../pipeline/streams.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { openLoadStand, type LoadStand } from './load-stand.ts';

const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
/** On each server; with four of them 20 000 in all. */
const mutants = 5_000;
/** A session takes so many, unless one of them ends it. */
const mostOfSession = 50;

const database = `CREATE TABLE t (a int PRIMARY KEY, b text DEFAULT E'\\'; \\\\! x');
INSERT INTO t SELECT i, E'row \\\\! \\n\\\\.\\n'';--$$' FROM generate_series(1, 3) i;
CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $_$ begin return '\\! x;' || $$ $a$ $$; end $_$;
CREATE FUNCTION g() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;
CREATE SCHEMA s; CREATE VIEW s.v AS SELECT 1 AS "a;b"; COMMENT ON VIEW s.v IS 'a "view"; /* ';
SELECT lo_from_bytea(0, 'large object');`;

interface Script {
  readonly bytes: Buffer;
  readonly part: SqlScriptOptions['part'];
}

describe.skipIf(binDirs.length === 0).each(binDirs)('dumps that were changed, on a server of %s', (binDir) => {
  let stand: LoadStand;
  let scripts: readonly Script[];
  const canary = (): string => join(stand.tools.folder, 'canary');
  beforeAll(async () => {
    stand = await openLoadStand(binDir, binDirs);
    await stand.fresh('source');
    await stand.fresh('back');
    await stand.at.postgres.sql(database, 'source');
    const lines = await stand.script('source', ['--table=t']);
    scripts = [
      { bytes: await stand.script('source'), part: 'whole' },
      { bytes: lines, part: 'whole' },
      { bytes: Buffer.from(lines.toString('latin1').replaceAll('\n', '\r\n'), 'latin1'), part: 'whole' },
      { bytes: await stand.script('source', ['--table=t', '--column-inserts']), part: 'whole' },
      { bytes: await stand.script('source', ['--schema=s', '--clean', '--if-exists']), part: 'whole' },
      { bytes: await stand.script('postgres', [], 'pg_dumpall'), part: { database: 'source' } },
    ];
  });
  afterAll(() => stand?.at.remove());

  const load = async (session: LoadSession, { bytes, part }: Script, pieces: number): Promise<void> => {
    const reader = readSqlScript(inPieces(bytes, pieces), { part, oneTransaction: true });
    const about = { subject: 'the script', damaged: 'FileDamaged' } as const;
    await loadStatements(session, reader, { transaction: 'rollback', without: [], about });
  };
  /** Processes that this one has started and that are there. */
  const children = async (): Promise<string> => readFile(`/proc/self/task/${process.pid}/children`, 'utf8');
  const sessionsSoFar = async (): Promise<number> => {
    const text = "SELECT sessions::int FROM pg_stat_database WHERE datname = 'back'";
    const [row] = await stand.at.postgres.sql<{ sessions: number }>(text);
    return row?.sessions ?? NaN;
  };

  test('load, or fail with a reason, and leave no file, no row, no process and no session', async () => {
    // prettier-ignore
    const inserts = [
      "'", '"', '$$', '$_$', "E'", '\\', '\\.\n', '\n\\.\n', '--', '/*', '*/', '(', ')', ';', '\0', '\r', '\n', 'COMMIT;', 'COPY t FROM stdin;\n',
      'COPY t TO stdout;', '\n\\connect x\n', 'SET standard_conforming_strings = off;', 'begin atomic ', 'end;', ' chain', 'ROLLBACK AND CHAIN;',
      `\n\\! touch ${canary()}\n`, `\\unrestrict \`touch ${canary()}\``, `\\copy t to '${canary()}'`, '\\g |sh\n', `\\o ${canary()}\n`, '\xe9', '$1',
      "SET client_encoding = 'SJIS';", 'RESET ALL;', 'SET ROLE nobody;', 'SAVEPOINT a;', 'ROLLBACK TO a;', 'PREPARE TRANSACTION $$x$$;', 'SET TRANSACTION READ ONLY;',
      'DISCARD ALL;', 'DO $$ begin commit; end $$;', 'LISTEN x;', 'DECLARE c CURSOR WITH HOLD FOR SELECT 1;', '\ufeff', "U&'\\0041'", 'COPY t FROM stdin WITH (FORMAT binary);\n',
    ];
    const changes = sample(
      tuple(
        nat({ max: scripts.length - 1 }),
        array(tuple(integer({ min: 0, max: 1 << 24 }), integer({ min: 0, max: 40 }), constantFrom(...inserts)), {
          minLength: 1,
          maxLength: 3,
        }),
        constantFrom(7, 100, 4096),
      ),
      { seed: 11 + stand.major, numRuns: mutants },
    );
    const before = { children: await children(), sessions: await sessionsSoFar() };
    const reasons = new Map<string, number>();
    let opened = 0;
    let session: LoadSession | undefined;
    let taken = 0;
    const nextSession = async (): Promise<LoadSession> => {
      await session?.close();
      opened += 1;
      taken = 0;
      return openLoadSession(stand.at.server, 'back', never);
    };
    for (const script of scripts) await load((session = await nextSession()), script, 1 << 20);
    for (const [which, places, pieces] of changes) {
      const script = scripts[which];
      if (script === undefined) throw new Error('no such script');
      let { bytes } = script;
      for (const [place, cut, insert] of places) {
        const at = place % bytes.length;
        const rest = bytes.subarray(at + (cut % 20 < 10 ? 0 : cut));
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          Buffer.from(insert, insert === '\ufeff' ? 'utf8' : 'latin1'),
          rest,
        ]);
      }
      if (session === undefined || taken === mostOfSession) session = await nextSession();
      taken += 1;
      const reason = await load(session, { ...script, bytes }, pieces).then(
        () => 'loaded',
        (thrown: unknown) => (thrown instanceof Failure ? thrown.reason : inspect(thrown)),
      );
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      if (reason === 'loaded') continue;
      const goesOn = await session.ask('ROLLBACK').then(
        () => true,
        () => false,
      );
      if (goesOn) continue;
      await session.close();
      session = undefined;
    }
    await session?.close();

    const known = [
      'loaded',
      'SqlRefused',
      'RestoreFailed',
      'FileDamaged',
      'ObjectConflict',
      'RoleMissing',
      'ExtensionMissing',
      'BackupMissing',
    ];
    expect([...reasons.keys()].filter((reason) => !known.includes(reason))).toEqual([]);
    for (const reason of ['loaded', 'SqlRefused', 'RestoreFailed', 'FileDamaged'])
      expect(reasons.get(reason) ?? 0, reason).toBeGreaterThan(mutants / 50);
    expect(await rejection(access(canary()))).toMatchObject({ code: 'ENOENT' });
    expect(await children()).toBe(before.children);
    const left = `SELECT (SELECT count(*)::int FROM pg_class WHERE oid >= 16384) AS tables, (SELECT count(*)::int FROM pg_prepared_xacts) AS prepared,
      (SELECT count(*)::int FROM pg_stat_activity WHERE datname = 'back' AND pid <> pg_backend_pid()) AS sessions,
      (SELECT count(*)::int FROM pg_largeobject_metadata) AS objects`;
    expect(await stand.at.postgres.sql(left, 'back')).toEqual([{ tables: 0, prepared: 0, sessions: 0, objects: 0 }]);
    // That of the question before counts, and no other than ours.
    await expect.poll(sessionsSoFar).toBe(before.sessions + opened + 1);
  });
});
