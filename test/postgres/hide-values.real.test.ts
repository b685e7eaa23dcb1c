import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { toFailure } from '../../src/api/failure.ts';
import { hideDetail, hideValues } from '../../src/postgres/hide-values.ts';
import { loadScript } from '../../src/postgres/load-script.ts';
import { sqlFailure } from '../../src/runner/restore/prove/run-checks.ts';
import { inPieces, rejection } from '../pipeline/streams.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { openLoadStand, type LoadStand } from './load-stand.ts';

const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const tables = `
  CREATE TYPE mood AS ENUM ('sad', 'ok');
  CREATE TABLE parent (id text PRIMARY KEY);
  CREATE TABLE target (i integer, s smallint, f float8, d date, t timestamptz, j jsonb, u uuid, m mood, a integer[], r int4range,
    b bytea, x bit(3), ip inet, c varchar(3), k text UNIQUE REFERENCES parent, n integer CHECK (n <> 41), z text NOT NULL DEFAULT '',
    EXCLUDE USING gist (r WITH &&));
  CREATE TABLE split (a integer) PARTITION BY LIST (a);`;
const copy = (column: string, ...values: string[]): string =>
  `COPY target (${column}) FROM stdin;\n${values.join('\n')}\n\\.\n`;

/** What fails, and a part of a value in it that nobody may read in a status. */
const failures: readonly (readonly [name: string, script: string, secret: string])[] = [
  ['integer', copy('i', 'sec"ret'), 'ret'],
  ['integer out of range', copy('i', '98765432109'), '98765'],
  ['smallint out of range', copy('s', '98765'), '98765'],
  ['float out of range', copy('f', '4e987'), '4e987'],
  ['a long value', copy('i', `secret${'x'.repeat(5000)}`), 'secret'],
  ['date', copy('d', '2024-13-87'), '87'],
  ['timestamp', copy('t', '2024-01-01 99:98:97'), '98'],
  ['time zone', copy('t', '2024-01-01 00:00:00 secret'), 'secret'],
  ['json', copy('j', '{"a": secret}'), 'secret'],
  ['uuid', copy('u', 'secret'), 'secret'],
  ['enum', copy('m', 'secret'), 'secret'],
  ['array', copy('a', 'secret'), 'secret'],
  ['range', copy('r', 'secret'), 'secret'],
  ['bytea', copy('b', '\\\\xsecret'), 'secret'],
  ['bits', copy('x', '1z7'), 'z'],
  ['inet', copy('ip', '10.9.8.777'), '777'],
  ['length', copy('c', 'secret'), 'secret'],
  ['foreign key', copy('k', 'secret'), 'secret'],
  ['unique', `INSERT INTO parent VALUES ('secret');${copy('k', 'secret', 'secret')}`, 'secret'],
  ['check', copy('n, c', '41\tsec'), 'sec,'],
  ['not null', copy('z, c', '\\N\tsec'), 'sec,'],
  ['exclusion', copy('r', '[98765,98770)', '[98766,98768)'), '98766'],
  ['partition', 'INSERT INTO split VALUES (98765);', '98765'],
  ['an insert', "INSERT INTO target (i, c) VALUES (98765, 'too long');", '98765'],
  ['too many columns', copy('i', '98765\tsecret'), 'secret'],
  ['rows taken for a statement', "98765\t'secret\nfrom', 'x');", 'secret'],
  ['a string without an end', "INSERT INTO parent VALUES ('secret);\n", 'secret'],
];

describe.skipIf(binDirs.length === 0).each(binDirs)('what a server of %s says', (binDir) => {
  let stand: LoadStand;
  beforeAll(async () => {
    stand = await openLoadStand(binDir, binDirs);
  });
  afterAll(() => stand?.at.remove());
  beforeEach(async () => {
    await stand.fresh('back');
    await stand.at.postgres.sql(tables, 'back');
  });

  test.each(failures)('against a script says nothing of the row: %s', async (_, script, secret) => {
    const error = await rejection(
      loadScript(
        { server: stand.at.server, serverMajor: stand.major },
        () => inPieces(Buffer.from(script), 1000),
        { database: 'back', singleTransaction: true, part: 'whole' },
        never,
      ),
    );
    const { message } = toFailure(error);
    expect(message).toMatch(/ failed: | ends inside of a string /);
    expect(message).not.toContain(secret);
  });

  test.each([
    [`SELECT 'secret'::integer`, 'secret'],
    [`SELECT to_date('secret', 'MM')`, 'secret'],
    [`SELECT '98765'::smallint`, '98765'],
    [`SELECT E'sec\\nret'::integer`, 'ret'],
    [`SELECT decode('zz', 'hex')`, 'z'],
    [`SELECT make_date(2024, 13, 98)`, '98'],
  ])('against SQL of the request says none of it: %s', async (sql, secret) => {
    const error = await rejection(stand.at.postgres.sql(sql, 'back'));
    expect(sqlFailure('it', error).message).not.toContain(secret);
    expect(sqlFailure('it', error).cause).toBe(error);
  });
});

test.each([
  'ERROR:  relation "a" of schema "b" does not exist',
  'ERROR:  invalid byte sequence for encoding "UTF8": 0xff',
  'ERROR:  missing data for column "b"',
  'FATAL:  password authentication failed for user "a"',
  'could not translate host name "a" to address: Name or service not known',
  'ERROR:  "t" is not a view',
])('names stay: %s', (message) => {
  expect(hideValues(message)).toBe(message);
});

// Of servers of 15 whose messages are not in English; a common user cannot change that.
test.each([
  ['FEHLER:  ungültige Eingabesyntax für Typ integer: »geheim«', 'FEHLER:  ungültige Eingabesyntax für Typ integer: …'],
  [
    'Wert »sec«ret« ist außerhalb des gültigen Bereichs für Typ smallint',
    'Wert … ist außerhalb des gültigen Bereichs für Typ smallint',
  ],
  [
    'valeur « secret » est hors des limites pour le type smallint',
    'valeur … est hors des limites pour le type smallint',
  ],
  [
    'la sintaxis de entrada no es válida para tipo integer: «secreto»',
    'la sintaxis de entrada no es válida para tipo integer: …',
  ],
  ['значение "secret" вне диапазона для типа smallint', 'значение … вне диапазона для типа smallint'],
  [
    'sintassi di input non valida per il tipo integer: "secret"',
    'sintassi di input non valida per il tipo integer: "…"',
  ],
  ['ERROR:  relation "tänze" does not exist', 'ERROR:  relation "tänze" does not exist'],
])('in any language nothing of a value is shown: %s', (message, shown) => {
  expect(hideValues(message)).toBe(shown);
});

test.each([
  ['23514', 'Fehlgeschlagene Zeile enthält (1, geheim (x), null).', 'Fehlgeschlagene Zeile enthält (…).'],
  ['23502', 'La fila que falla contiene (1, secreto).', 'La fila que falla contiene (…).'],
  ['23505', 'Schlüssel »(a)=(geheim)« existiert bereits.', 'Schlüssel »(a)=(…)« existiert bereits.'],
  [
    '23514',
    'Partition key of the failing row contains (a) = (98765).',
    'Partition key of the failing row contains (…).',
  ],
  ['23514', 'Failing row contains (secret, = (x).', 'Failing row contains (…).'],
])('and nothing of a row (%s): %s', (code, detail, shown) => {
  expect(hideDetail(detail, code)).toBe(shown);
});
