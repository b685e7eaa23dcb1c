import { expect, test } from 'vitest';
import { parseAclItem } from '../../src/postgres/acl-item.ts';
import { createStatement } from '../../src/postgres/create-database.ts';
import { propertyStatements, settingValue } from '../../src/postgres/database-properties.ts';

const plain = { connectionLimit: -1, settings: [], allowConnections: true, isTemplate: false };

test('an aclitem is read with quoted names, PUBLIC and grant options', () => {
  expect(parseAclItem('=Tc/owner')).toEqual([
    { grantor: 'owner', privilege: 'TEMPORARY', grantable: false },
    { grantor: 'owner', privilege: 'CONNECT', grantable: false },
  ]);
  expect(parseAclItem('"a=""b/c"=c*C/"ow/ner"')).toEqual([
    { grantor: 'ow/ner', grantee: 'a="b/c', privilege: 'CONNECT', grantable: true },
    { grantor: 'ow/ner', grantee: 'a="b/c', privilege: 'CREATE', grantable: false },
  ]);
  expect(parseAclItem('nonsense')).toEqual([]);
});

test('lists of names keep their items, other settings are one text', () => {
  expect(settingValue('search_path', '"$user", "a, ""b""", public')).toBe(`'$user', 'a, "b"', 'public'`);
  expect(settingValue('search_path', '""')).toBe(`''`);
  expect(settingValue('work_mem', "it's")).toBe(`'it''s'`);
});

test('default rights are given back to PUBLIC, others exactly as they were', () => {
  expect(propertyStatements('d"b', 'me', plain)).toEqual(['GRANT CONNECT, TEMPORARY ON DATABASE "d""b" TO PUBLIC']);
  const grants = [
    { grantor: 'friend', grantee: 'third', privilege: 'CONNECT', grantable: false },
    { grantor: 'me', grantee: 'friend', privilege: 'CONNECT', grantable: true },
  ];
  expect(propertyStatements('db', 'me', { ...plain, grants, connectionLimit: 5 })).toEqual([
    'REVOKE ALL ON DATABASE "db" FROM PUBLIC',
    'REVOKE ALL ON DATABASE "db" FROM "me"',
    'GRANT CONNECT ON DATABASE "db" TO "friend" WITH GRANT OPTION',
    'SET LOCAL ROLE "friend"; GRANT CONNECT ON DATABASE "db" TO "third"; RESET ROLE',
    'ALTER DATABASE "db" CONNECTION LIMIT 5',
  ]);
});

test('settings of extensions and of roles are quoted part by part', () => {
  const settings = [{ setting: 'my.ext=1=2' }, { role: 'r"ole', setting: 'search_path=a, b' }];
  expect(propertyStatements('db', 'me', { ...plain, settings }).slice(1)).toEqual([
    `ALTER DATABASE "db" SET "my"."ext" TO '1=2'`,
    `ALTER ROLE "r""ole" IN DATABASE "db" SET "search_path" TO 'a', 'b'`,
  ]);
});

test('a database is created with what each version knows', () => {
  const traits = {
    owner: 'me',
    encoding: 'UTF8',
    localeProvider: 'icu',
    collate: 'C',
    ctype: 'C',
    locale: 'de',
  } as const;
  expect(createStatement(16, 'db', { ...traits, icuRules: '& a < b', tablespace: 'pg_default' })).toBe(
    `CREATE DATABASE "db" OWNER "me" TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu LC_COLLATE 'C' LC_CTYPE 'C' ICU_LOCALE 'de' ICU_RULES '& a < b'`,
  );
  expect(createStatement(17, 'db', { localeProvider: 'builtin', locale: 'C.UTF-8', tablespace: 'fast' })).toBe(
    `CREATE DATABASE "db" TEMPLATE template0 LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' TABLESPACE "fast"`,
  );
  expect(createStatement(14, 'db', { localeProvider: 'libc', collate: 'C', ctype: 'C' })).toBe(
    `CREATE DATABASE "db" TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`,
  );
  expect(() => createStatement(16, 'db', { localeProvider: 'builtin', locale: 'C' })).toThrow(/builtin/);
});
