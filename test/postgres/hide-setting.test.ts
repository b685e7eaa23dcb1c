import { expect, test } from 'vitest';
import { propertyStatements } from '../../src/postgres/database-properties.ts';
import { hideSetting } from '../../src/postgres/hide-setting.ts';

test.each([
  ['my.key', "it's a sec\\ret", 'invalid value for parameter "my.key": "it\'s a sec\\ret"'],
  ['search_path', 'sec, ret', 'schema sec does not exist'],
  ['odd SET "x" TO ', 'secret', 'permission denied to set secret'],
])('the value of the setting %s is never told', (name, value, error) => {
  for (const role of [undefined, 'a SET b']) {
    const setting = { ...(role === undefined ? {} : { role }), setting: `${name}=${value}` };
    const properties = {
      grants: [],
      connectionLimit: -1,
      settings: [setting],
      allowConnections: true,
      isTemplate: false,
    };
    const statement = propertyStatements('shop', 'me', properties).at(-1) ?? '';
    expect(statement).toContain('sec');
    const told = hideSetting({ statement, error });
    expect(told.statement).toMatch(/ TO …$/);
    expect(`${told.statement} ${told.error}`).not.toContain('sec');
  }
});

test('other statements are told as they are', () => {
  const refused = { statement: 'GRANT CONNECT ON DATABASE "a" TO "b"', error: 'role "b" does not exist' };
  expect(hideSetting(refused)).toEqual(refused);
});
