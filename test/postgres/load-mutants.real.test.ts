import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect, promisify } from 'node:util';
import { array, constantFrom, integer, sample, tuple } from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { readSqlScript } from '../../src/pipeline/sql-script.ts';
import { openLoadSession } from '../../src/postgres/load-session.ts';
import { loadStatements } from '../../src/postgres/load-statements.ts';
import { programPath } from '../../src/postgres/programs.ts';
import { inPieces, rejection } from '../pipeline/streams.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { openLoadStand, type LoadStand } from './load-stand.ts';

const run = promisify(execFile);
const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const ends = [...new Set([binDirs[0], binDirs.at(-1)])].filter((binDir) => binDir !== undefined);
const mutants = 150;

const database = `CREATE TABLE t (a int PRIMARY KEY, b text DEFAULT E'\\'; \\\\! x');
INSERT INTO t SELECT i, E'row \\\\! \\n\\\\.\\n'';--$$' FROM generate_series(1, 5) i;
CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $_$ begin return '\\! x;' || $$ $a$ $$; end $_$;
CREATE FUNCTION g() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;
CREATE VIEW v AS SELECT a, b FROM t; COMMENT ON VIEW v IS 'a "view"; /* ';
SELECT lo_from_bytea(0, 'large object');`;

describe.skipIf(ends.length === 0).each(ends)('dumps that were changed, on a server of %s', (binDir) => {
  let stand: LoadStand;
  let dump: Buffer;
  const canary = (): string => join(stand.tools.folder, 'canary');
  beforeAll(async () => {
    stand = await openLoadStand(binDir, binDirs);
    await stand.fresh('source');
    await stand.fresh('back');
    await stand.at.postgres.sql(database, 'source');
    const { programs, environment } = await stand.at.tools();
    const env = { ...environment, PGDATABASE: 'source' };
    dump = Buffer.from((await run(programPath(programs, 'pg_dump'), [], { env })).stdout);
  });
  afterAll(() => stand?.at.remove());

  const load = async (script: Buffer, pieces: number): Promise<void> => {
    const session = await openLoadSession(stand.at.server, 'back', never);
    try {
      const reader = readSqlScript(inPieces(script, pieces), { part: 'whole', oneTransaction: true });
      const about = { subject: 'the script', damaged: 'FileDamaged' } as const;
      await loadStatements(session, reader, { transaction: 'rollback', without: [], about });
    } finally {
      await session.close();
    }
  };

  test('load, or fail with a reason, and leave no file, no row and no session', async () => {
    await load(dump, 1 << 20);
    // prettier-ignore
    const inserts = [
      "'", '"', '$$', '$_$', "E'", '\\', '\\.\n', '\n\\.\n', '--', '/*', '*/', '(', ')', ';', '\0', '\r', '\n', 'COMMIT;', 'COPY t FROM stdin;\n',
      'COPY t TO stdout;', '\n\\connect x\n', 'SET standard_conforming_strings = off;', 'begin atomic ', 'end;', ' chain', 'ROLLBACK AND CHAIN;',
      `\n\\! touch ${canary()}\n`, `\\unrestrict \`touch ${canary()}\``, `\\copy t to '${canary()}'`, '\\g |sh\n', `\\o ${canary()}\n`, '\xe9', '$1',
    ];
    const changes = sample(
      tuple(
        array(tuple(integer({ min: 0, max: 1 << 24 }), integer({ min: 0, max: 40 }), constantFrom(...inserts)), {
          minLength: 1,
          maxLength: 3,
        }),
        constantFrom(1, 7, 100, 4096),
      ),
      { seed: 11, numRuns: mutants },
    );
    const reasons = new Map<string, number>();
    for (const [places, pieces] of changes) {
      let script = dump;
      for (const [place, cut, insert] of places) {
        const at = place % script.length;
        script = Buffer.concat([
          script.subarray(0, at),
          Buffer.from(insert, 'latin1'),
          script.subarray(at + (cut % 20 < 10 ? 0 : cut)),
        ]);
      }
      const reason = await load(script, pieces).then(
        () => 'loaded',
        (thrown: unknown) => (thrown instanceof Failure ? thrown.reason : inspect(thrown)),
      );
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }

    const known = [
      'loaded',
      'SqlRefused',
      'RestoreFailed',
      'FileDamaged',
      'ObjectConflict',
      'RoleMissing',
      'ExtensionMissing',
    ];
    expect([...reasons.keys()].filter((reason) => !known.includes(reason))).toEqual([]);
    expect(reasons.get('loaded') ?? 0).toBeGreaterThan(5);
    expect(reasons.get('SqlRefused') ?? 0).toBeGreaterThan(10);
    expect(reasons.get('RestoreFailed') ?? 0).toBeGreaterThan(10);
    expect(await rejection(access(canary()))).toMatchObject({ code: 'ENOENT' });
    expect(
      await stand.at.postgres.sql(
        "SELECT (SELECT count(*)::int FROM pg_class WHERE oid >= 16384) AS tables, (SELECT count(*)::int FROM pg_prepared_xacts) AS prepared, (SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'pgbackup') AS sessions",
        'back',
      ),
    ).toEqual([{ tables: 0, prepared: 0, sessions: 0 }]);
  });
});
