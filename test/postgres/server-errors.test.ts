import { describe, expect, test } from 'vitest';
import { classifyProgramEnd, reasonOfSqlstate } from '../../src/postgres/server-errors.ts';

const connection = 'pg_dump: error: connection to server at "127.0.0.1", port 5432 failed: ';
const classify = (stderrTail: string, exitCode = 1) =>
  classifyProgramEnd(
    { program: 'pg_dump', kind: 'exit', exitCode, stderrTail },
    'pg_dump of database "a"',
    'DumpFailed',
  );

describe('classifyProgramEnd', () => {
  test.each([
    [`${connection}FATAL:  password authentication failed for user "u"\n`, 'AuthenticationFailed'],
    [`${connection}fe_sendauth: no password supplied\n`, 'AuthenticationFailed'],
    [
      `${connection}FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "u", database "a", no encryption\n`,
      'AuthenticationFailed',
    ],
    [`${connection}FATAL:  database "a" does not exist\n`, 'DatabaseMissing'],
    [
      `${connection}Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?\n`,
      'ServerUnreachable',
    ],
    ['pg_dump: error: could not translate host name "db" to address: Name or service not known\n', 'ServerUnreachable'],
    [`${connection}FATAL:  the database system is starting up\n`, 'ServerUnreachable'],
    [`${connection}FATAL:  sorry, too many clients already\n`, 'ServerUnreachable'],
    [`${connection}timeout expired\n`, 'ServerUnreachable'],
    [`${connection}server does not support SSL, but SSL was required\n`, 'TlsFailed'],
    [`${connection}SSL error: certificate verify failed\n`, 'TlsFailed'],
    [`${connection}server certificate for "a" does not match host name "b"\n`, 'TlsFailed'],
    [
      'pg_dump: error: query failed: ERROR:  permission denied for table secret\npg_dump: detail: Query was: LOCK TABLE public.secret\n',
      'PermissionDenied',
    ],
    [
      'pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout\npg_dump: detail: Query was: LOCK TABLE public.t\n',
      'LockTimeout',
    ],
    [
      'pg_dump: error: Dumping the contents of table "t" failed: PQgetCopyData() failed.\npg_dump: detail: Error message from server: server closed the connection unexpectedly\n',
      'ConnectionLost',
    ],
    ['pg_dump: error: query failed: FATAL:  terminating connection due to administrator command\n', 'ConnectionLost'],
    ['pg_dump: error: no matching schemas were found for pattern "x"\n', 'SelectionEmpty'],
    ['pg_dump: error: no matching tables were found\n', 'SelectionEmpty'],
    [
      'pg_dump: error: aborting because of server version mismatch\npg_dump: detail: server version: 18.0; pg_dump version: 15.1\n',
      'ProgramMissing',
    ],
    ['pg_dump: error: query failed: ERROR:  could not write to file "x": No space left on device\n', 'DiskFull'],
    ['pg_dump: error: query failed: ERROR:  invalid page in block 3 of relation base/5/16384\n', 'DatabaseCorrupted'],
  ])('%j is told as %s', (stderr, reason) => {
    expect(classify(stderr).reason).toBe(reason);
  });

  test('shows the first error and passes over warnings', () => {
    const failure = classify(
      'pg_dump: warning: there are circular foreign-key constraints on this table:\npg_dump: detail: x\npg_dump: error: query failed: ERROR:  bad\npg_dump: error: later\n',
    );
    expect(failure.message).toBe('pg_dump of database "a" failed with exit code 1: query failed: ERROR:  bad');
  });

  test('a warning does not decide the reason', () => {
    expect(classify('pg_dump: warning: permission denied for x\npg_dump: error: odd\n').reason).toBe('DumpFailed');
  });

  test('tells other ends by name', () => {
    const base = { program: 'pg_dump', stderrTail: '' };
    const ends = [
      classifyProgramEnd({ ...base, kind: 'signal', signalName: 'SIGKILL' }, 'x', 'DumpFailed'),
      classifyProgramEnd({ ...base, kind: 'spawn', error: new Error('ENOENT') }, 'x', 'DumpFailed'),
      classify('', 127),
      classify('', 1),
    ];
    expect(ends.map(({ reason }) => reason)).toEqual(['DumpFailed', 'ProgramMissing', 'ProgramMissing', 'DumpFailed']);
    expect(ends[0]?.message).toContain('SIGKILL');
  });

  test('a long line is cut', () => {
    expect(classify(`pg_dump: error: ${'x'.repeat(5000)}`).message.length).toBeLessThan(600);
  });
});

test.each([
  ['28P01', 'AuthenticationFailed'],
  ['28000', 'AuthenticationFailed'],
  ['3D000', 'DatabaseMissing'],
  ['42501', 'PermissionDenied'],
  ['55P03', 'LockTimeout'],
  ['57P01', 'ConnectionLost'],
  ['57P03', 'ServerUnreachable'],
  ['08006', 'ConnectionLost'],
  ['53100', 'DiskFull'],
  ['22012', undefined],
])('SQLSTATE %s is told as %s', (code, reason) => {
  expect(reasonOfSqlstate(code)).toBe(reason);
});
