import { describe, expect, test } from 'vitest';
import { readGlobals } from '../../src/postgres/read-globals.ts';

/** As pg_dumpall of 15 to 18 writes it, but for the head. */
const script = String.raw`--
-- PostgreSQL database cluster dump
--

\restrict AQGG9

SET default_transaction_read_only = off;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;

CREATE ROLE "Bob; --";
ALTER ROLE "Bob; --" WITH NOSUPERUSER NOINHERIT CREATEROLE NOCREATEDB LOGIN REPLICATION BYPASSRLS CONNECTION LIMIT -1 PASSWORD 'SCRAM-SHA-256$4096:jm==$X5:lo=' VALID UNTIL '2030-01-01 00:00:00+00';
COMMENT ON ROLE "group 1" IS E'it''s \\ a
group; DROP ROLE x;';
CREATE ROLE "new
line""q";
ALTER ROLE Alice SET search_path TO '$user', 'public', 'Odd ''x';
ALTER ROLE alice SET "my.setting" TO E'a"b\\c''d';
GRANT "group 1" TO "Bob; --" WITH ADMIN OPTION, INHERIT TRUE, SET FALSE GRANTED BY admin;
GRANT pg_read_all_data TO alice GRANTED BY admin;
GRANT ALL ON PARAMETER "my.setting" TO alice WITH GRANT OPTION;
GRANT SET ON PARAMETER work_mem TO alice;
CREATE TABLESPACE "ts 1" OWNER alice LOCATION '/tmp/x';
ALTER TABLESPACE "ts 1" SET (random_page_cost=2);
COMMENT ON TABLESPACE "ts 1" IS 'x';

\unrestrict AQGG9
`;

describe('readGlobals', () => {
  test('reads every statement of pg_dumpall', () => {
    expect(readGlobals(script).filter(({ kind }) => kind !== 'ignored')).toEqual([
      { kind: 'create', role: 'Bob; --' },
      {
        kind: 'attributes',
        role: 'Bob; --',
        attributes: {
          flags: ['NOINHERIT', 'CREATEROLE', 'LOGIN', 'REPLICATION', 'BYPASSRLS'],
          connectionLimit: -1,
          password: 'SCRAM-SHA-256$4096:jm==$X5:lo=',
          validUntil: '2030-01-01 00:00:00+00',
        },
      },
      { kind: 'comment', role: 'group 1', text: "it's \\ a\ngroup; DROP ROLE x;" },
      { kind: 'create', role: 'new\nline"q' },
      { kind: 'setting', role: 'alice', name: 'search_path', values: ['$user', 'public', "Odd 'x"] },
      { kind: 'setting', role: 'alice', name: 'my.setting', values: [`a"b\\c'd`] },
      { kind: 'membership', role: 'group 1', member: 'Bob; --', admin: true, inherit: true, set: false },
      { kind: 'membership', role: 'pg_read_all_data', member: 'alice', admin: false },
      { kind: 'parameter', privileges: 'ALL', name: 'my.setting', role: 'alice', grantable: true },
      { kind: 'parameter', privileges: 'SET', name: 'work_mem', role: 'alice', grantable: false },
      { kind: 'tablespace', name: 'ts 1' },
    ]);
  });

  test.each([
    'DROP ROLE alice;',
    'CREATE ROLE alice SUPERUSER;',
    'ALTER ROLE alice WITH SUPERUSER RENAME TO bob;',
    `ALTER ROLE alice WITH PASSWORD E'\\x41';`,
    `ALTER ROLE alice SET search_path TO DEFAULT;`,
    'GRANT a TO b, c;',
    'GRANT SELECT ON TABLE t TO b;',
    'GRANT a TO b WITH NONSENSE;',
    'SET session_authorization = x;',
    'SELECT 1;',
    'DO $$ BEGIN DROP TABLE x; END $$;',
    'CREATE ROLE alice',
    `COMMENT ON ROLE alice IS 'cut`,
  ])('does not know %s, and says no literal of it', (statement) => {
    const found = readGlobals(`CREATE ROLE good;\n${statement}`);
    expect(found[0]).toEqual({ kind: 'create', role: 'good' });
    expect(found.slice(1).map(({ kind }) => kind)).toContain('unknown');
    expect(found.slice(1).filter(({ kind }) => kind !== 'unknown')).toEqual([]);
  });

  test('passwords are in no unknown statement', () => {
    expect(JSON.stringify(readGlobals(`CREATE USER u PASSWORD 'hunter2';`))).not.toContain('hunter2');
  });
});
