import { describe, expect, test } from 'vitest';
import { classifyLoadEnd, mayBeDamage } from '../../src/postgres/classify-load-end.ts';

const classify = (stderrTail: string, changes: object = {}) =>
  classifyLoadEnd(
    { program: 'pg_restore', kind: 'exit', exitCode: 1, stderrTail },
    { subject: 'pg_restore into database "a"', damaged: 'FileDamaged', ...changes },
  );
const query = 'pg_restore: error: could not execute query: ';
const server = 'connection to server at "127.0.0.1", port 5432 failed: ';

/** As pg_restore, psql and servers of 15 to 18 wrote them. */
describe('classifyLoadEnd', () => {
  test.each([
    [`${query}ERROR:  role "odd" does not exist\nCommand was: GRANT SELECT ON TABLE t TO "odd";\n\n\n`, 'RoleMissing'],
    ['psql:<stdin>:37: ERROR:  role "odd" does not exist\n', 'RoleMissing'],
    [
      'psql:<stdin>:1: ERROR:  extension "postgis" is not available\nDETAIL:  Could not open extension control file "/usr/share/postgresql/15/extension/postgis.control": No such file or directory.\nHINT:  x\n',
      'ExtensionMissing',
    ],
    [
      'psql:<stdin>:1: ERROR:  extension "pg_trgm" has no installation script nor update path for version "9"\n',
      'ExtensionMissing',
    ],
    [
      `${query}ERROR:  could not access file "$libdir/postgis-3": No such file or directory\nCommand was: CREATE FUNCTION f()\n`,
      'ExtensionMissing',
    ],
    [
      `${query}ERROR:  schema "Sales Dept" already exists\nCommand was: CREATE SCHEMA "Sales Dept";\n\n\n`,
      'ObjectConflict',
    ],
    [
      'pg_restore: error: COPY failed for table "t": ERROR:  duplicate key value violates unique constraint "t_pkey"\nDETAIL:  Key (id)=(1) already exists.\n',
      'ObjectConflict',
    ],
    [
      'psql:<stdin>:1: ERROR:  cannot drop table q because other objects depend on it\nDETAIL:  view qv depends on table q\n',
      'ObjectConflict',
    ],
    ['psql:<stdin>:1: ERROR:  cannot drop inherited constraint "p1_pkey" of relation "p1"\n', 'ObjectConflict'],
    ['psql:<stdin>:1: ERROR:  permission denied for database lim\n', 'PermissionDenied'],
    [`${query}ERROR:  must be able to SET ROLE "x"\n`, 'PermissionDenied'],
    [`${query}ERROR:  must be owner of extension plpgsql\n`, 'PermissionDenied'],
    [`${query}ERROR:  could not extend file "base/5/1": No space left on device\n`, 'DiskFull'],
    [`${query}ERROR:  canceling statement due to lock timeout\n`, 'LockTimeout'],
    [`${query}ERROR:  deadlock detected\n`, 'TargetBusy'],
    [
      'psql:<stdin>:1: FATAL:  terminating connection due to administrator command\npsql:<stdin>:1: server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally\npsql:<stdin>:1: error: connection to server was lost\n',
      'ConnectionLost',
    ],
    [
      'psql:<stdin>:1: server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally\n\tbefore or while processing the request.\npsql:<stdin>:1: error: connection to server was lost\n',
      'ConnectionLost',
    ],
    [
      `pg_restore: error: ${server}Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?\n`,
      'ServerUnreachable',
    ],
    [`psql: error: ${server}FATAL:  database "nodb" does not exist\n`, 'DatabaseMissing'],
    [`psql: error: ${server}FATAL:  role "nouser" does not exist\n`, 'AuthenticationFailed'],
    [`psql: error: ${server}FATAL:  password authentication failed for user "u"\n`, 'AuthenticationFailed'],
    ['pg_restore: error: could not read from input file: end of file\n', 'FileDamaged'],
    ['pg_restore: error: input file does not appear to be a valid archive (too short?)\n', 'FileDamaged'],
    ['pg_restore: error: did not find magic string in file header\n', 'FileDamaged'],
    ['pg_restore: error: could not uncompress data: invalid distance too far back\n', 'FileDamaged'],
    [
      'pg_restore: error: corrupt tar header found in PGDMP (expected 0, computed 19053) file position 512\n',
      'FileDamaged',
    ],
    ['pg_restore: error: unsupported version (1.16) in file header\n', 'ProgramMissing'],
    [
      'pg_restore: error: COPY failed for table "t": ERROR:  invalid input syntax for type integer: "x"\nCONTEXT:  COPY t, line 2, column a: "x"\n',
      'RestoreFailed',
    ],
    ['psql:<stdin>:2: error: backslash commands are restricted; only \\unrestrict is allowed\n', 'RestoreFailed'],
    ['out of memory\n', 'RestoreFailed'],
  ])('%j is told as %s', (stderr, reason) => {
    expect(classify(stderr).reason).toBe(reason);
  });

  test('values of rows are not told; who reads the log has them', () => {
    const { message, cause } = classify(
      'pg_restore: error: COPY failed for table "t": ERROR:  invalid input syntax for type integer: "sec"ret"\nCONTEXT:  COPY t, line 2, column a: "secret"\n',
    );
    expect(message).toBe(
      'pg_restore into database "a" failed: COPY failed for table "t": ERROR:  invalid input syntax for type integer: "…"',
    );
    expect((cause as Error).message).toContain('"sec"ret"');
    const { message: insert } = classify(
      `${query}ERROR:  null value in column "b"\nCommand was: INSERT INTO t VALUES (98765, NULL);\n`,
    );
    expect(insert).toMatch(/in: INSERT INTO t VALUES …\)$/);
  });

  test('an extension that belongs to one database is told with the way to restore it', () => {
    const { hint } = classify(
      `${query}ERROR:  can only create extension in database app\nDETAIL:  Jobs must be scheduled from the database configured in cron.database_name.\nCommand was: CREATE EXTENSION IF NOT EXISTS pg_cron WITH SCHEMA public;\n`,
    );
    expect(hint).toContain('mode InPlace');
  });

  test('damage is called by what was damaged, and whatever may come of it is worth a second look', () => {
    const ended = classify('pg_restore: error: could not read from input file: end of file\n', {
      damaged: 'BackupDamaged',
    });
    expect(ended.reason).toBe('BackupDamaged');
    expect([
      mayBeDamage(ended),
      mayBeDamage(classify('out of memory\n')),
      mayBeDamage(
        classify('pg_restore: error: COPY failed for table "t": ERROR:  invalid byte sequence for encoding\n'),
      ),
      mayBeDamage(classify(`${query}ERROR:  role "odd" does not exist\n`)),
      mayBeDamage(classify(`${query}ERROR:  division by zero\n`)),
    ]).toEqual([true, true, true, false, false]);
  });

  test.each([
    'ERROR:  syntax error at or near "virtual"',
    'ERROR:  unrecognized configuration parameter "transaction_timeout"',
    'ERROR:  unrecognized collation provider: builtin',
  ])('%s means a newer PostgreSQL only when the archive is of one', (error) => {
    expect(classify(`${query}${error}\n`, { fromNewer: true }).reason).toBe('VersionUnsupported');
    expect(classify(`${query}${error}\n`).reason).toBe('RestoreFailed');
  });

  test('what a statement or a row says decides nothing', () => {
    const failure = classify(
      `pg_restore: warning: already exists\n${query}ERROR:  division by zero\nCommand was: COMMENT ON TABLE t IS 'role "x" does not exist, already exists';\n`,
    );
    expect(failure.reason).toBe('RestoreFailed');
  });

  test('shows the first error and the head of its statement, and no literal of it', () => {
    const failure = classify(
      `${query}ERROR:  could not connect to the publisher\nCommand was: CREATE SUBSCRIPTION s CONNECTION 'host=x password=hunter2' PUBLICATION p;\n`,
    );
    expect(failure.message).toBe(
      `pg_restore into database "a" failed: could not execute query: ERROR:  could not connect to the publisher (in: CREATE SUBSCRIPTION s CONNECTION '…' PUBLICATION p;)`,
    );
  });

  test.each([
    `${query}ERROR:  odd\nCommand was: CREATE ROLE u PASSWORD 'hunter2' LOGIN;\n`,
    `${query}ERROR:  odd\nCommand was: ALTER ROLE u PASSWORD 'hun''ter2 ${'x'.repeat(300)}\n`,
    `${query}ERROR:  odd\nCommand was: CREATE USER MAPPING FOR u SERVER s OPTIONS (password E'hunter2');\n`,
    `${query}ERROR:  odd\nCommand was: CREATE FUNCTION f() RETURNS text AS $_$ SELECT hunter2 $_$;\n`,
    `${query}ERROR:  invalid connection string syntax: "postgres://u:hunter2@h/db"\n`,
    `${query}ERROR:  invalid option: password=hunter2 host=x\n`,
    'psql:<stdin>:1: ERROR:  syntax error at or near "x"\nLINE 1: CREATE ROLE u PASSWORD \'hunter2\' x\n',
  ])('keeps secrets to itself: %j', (stderr) => {
    expect(classify(stderr).message).not.toMatch(/hunter2|ter2/);
  });

  test('tells other ends by name', () => {
    const about = { subject: 'x', damaged: 'FileDamaged' } as const;
    const base = { program: 'psql', stderrTail: '' };
    expect([
      classifyLoadEnd({ ...base, kind: 'signal', signalName: 'SIGKILL' }, about).reason,
      classifyLoadEnd({ ...base, kind: 'spawn', error: new Error('ENOENT') }, about).reason,
      classify('').reason,
    ]).toEqual(['RestoreFailed', 'ProgramMissing', 'RestoreFailed']);
  });
});
