import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseUri } from '../../src/postgres/server-uri.ts';

describe('parseUri', () => {
  test.each([
    [
      'postgresql://app:s3cret@cluster-rw.prod:5432/app',
      { host: 'cluster-rw.prod', port: 5432, user: 'app', password: 's3cret', database: 'app' },
    ],
    ['postgres://app@db', { host: 'db', port: 5432, user: 'app' }],
    [
      'postgresql://a%40b:p%3A%2F%40%25@db/x%20y',
      { host: 'db', port: 5432, user: 'a@b', password: 'p:/@%', database: 'x y' },
    ],
    [
      'postgresql://u:p:q+r@[2001:db8::1]:6543/d',
      { host: '2001:db8::1', port: 6543, user: 'u', password: 'p:q+r', database: 'd' },
    ],
    [
      'postgresql://u@/d?host=/var/run/postgresql&port=5433',
      { host: '/var/run/postgresql', port: 5433, user: 'u', database: 'd' },
    ],
    ['postgresql://u@%2Frun%2Fpg/d', { host: '/run/pg', port: 5432, user: 'u', database: 'd' }],
    [
      'postgresql:///d?host=db&user=u&password=p%26q',
      { host: 'db', port: 5432, user: 'u', password: 'p&q', database: 'd' },
    ],
    [
      'postgresql://u:p@db/d?sslmode=verify-ca&connect_timeout=10',
      { host: 'db', port: 5432, user: 'u', password: 'p', database: 'd', tlsMode: 'verify-ca' },
    ],
    ['postgresql://u:p@db/d?sslmode=prefer', { host: 'db', port: 5432, user: 'u', password: 'p', database: 'd' }],
    ['  postgresql://u:p@db/d\n', { host: 'db', port: 5432, user: 'u', password: 'p', database: 'd' }],
  ])('reads %s', (uri, expected) => {
    expect(parseUri(uri)).toEqual(expected);
  });

  test('reads a password with raw delimiters as its writer meant it, or refuses it with the remedy', () => {
    const password = fc.string({ unit: fc.constantFrom(...Array.from('ab1@/?#:&= ,%')), minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(password, (raw) => {
        let read: unknown;
        try {
          read = parseUri(`postgresql://u:${raw}@db.example.com/d?sslmode=require`);
        } catch (error) {
          expect(error).toMatchObject({ reason: 'SecretInvalid' });
          return;
        }
        const meant = { user: 'u', host: 'db.example.com', database: 'd', tlsMode: 'require' };
        expect(read).toMatchObject({ ...meant, password: decodeURIComponent(raw) });
      }),
      { numRuns: 2000 },
    );
  });

  test.each(['@', '/', '?', '#', ' '])('says how a raw %j in a password is written', (char) => {
    const read = () => parseUri(`postgresql://u:S3cret${char}Pa55word@127.0.0.1:1/d`);
    const hint = expect.stringContaining(encodeURIComponent(char)) as string;
    expect(read).toThrow(expect.objectContaining({ reason: 'SecretInvalid', hint }));
  });

  test.each(['"', "'"])('says that it stands in %s', (quote) => {
    const read = () => parseUri(`${quote}postgresql://u:S3cret@db/d${quote}`);
    const message = expect.stringContaining('quotes') as string;
    expect(read).toThrow(expect.objectContaining({ reason: 'SecretInvalid', message }));
  });

  test('reads back whatever was percent-encoded', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((value) => !value.includes('\0'));
    fc.assert(
      fc.property(text, text, text, (user, password, database) => {
        const [u, p, d] = [user, password, database].map((value) => encodeURIComponent(value));
        expect(parseUri(`postgresql://${u}:${p}@db/${d}`)).toMatchObject({ user, password, database });
      }),
    );
  });

  test.each([
    'mysql://u:TOPSECRET@db/d',
    'u:TOPSECRET@db',
    'postgresql://u:TOPSECRET@db:port/d',
    'postgresql://u:TOPSECRET@db:99999/d',
    'postgresql://u:TOPSECRET@one,two/d',
    'postgresql://u:TOPSECRET@one:1,two:2/d',
    'postgresql://u:TOPSECRET@/d',
    'postgresql://:TOPSECRET@db/d',
    'postgresql://u:TOPSECRET%zz@db/d',
    'postgresql://u:TOPSECRET%00@db/d',
    'postgresql://u:a@TOPSECRET:x@db/d',
    'postgresql://u:TOPSECRET@db/d?sslmode=sure',
    'postgresql://u:a@TOPSECRET@db/d',
    'postgresql://u:TOPSECRET@a/b@db/d',
    'postgresql://u:1/TOPSECRET@db/d',
    'postgresql://u:1/TOPSECRET',
    'postgresql://u:1?TOPSECRET@db/d',
    'postgresql://u:1?TOPSECRET=x@db/d',
    'postgresql://u:1#TOPSECRET@db/d',
    'postgresql://u:1 TOPSECRET@db/d',
    'postgresql://u:x@1%40TOPSECRET/d',
    'postgresql://u:TOPSECRET@db/d\npostgresql://u:TOPSECRET@db/d',
    'postgresql://u:TOP\0SECRET@db/d',
    'jdbc:postgresql://db:5432/d?user=u&password=TOPSECRET',
    "host=db user=u password='TOPSECRET'",
    `postgresql://u:TOPSECRET@db/${'d'.repeat(10_000)}`,
    '',
  ])('refuses %j without repeating it', (uri) => {
    let caught: unknown;
    try {
      parseUri(uri);
    } catch (error) {
      caught = error;
    }
    expect(caught).toMatchObject({ reason: 'SecretInvalid' });
    const { message, hint, cause } = caught as { message: string; hint?: string; cause?: Error };
    expect(`${message} ${hint} ${cause?.message}`).not.toContain('TOPSECRET');
  });
});
