import type { Connection } from './connection.ts';
import { fallenQuery } from './fallen-query.ts';
import { fallenRightsQuery } from './fallen-rights-query.ts';
import type { ArchiveEntry } from './load-types.ts';
import { typesNamedAfterTable } from './types-named-after-table.ts';

/** In words, such as `the partition b.p2 of t`. */
export interface Fallen {
  /** Goes with what is dropped, without a word of the server's. */
  readonly goes: readonly string[];
  /** Keeps the server from dropping it. */
  readonly holds: readonly string[];
}

interface Row extends Readonly<Record<'type' | 'schema' | 'name' | 'of' | 'privilege' | 'grantee', string>> {
  readonly held: boolean;
}

const dropped: ReadonlySet<string> = new Set(['TABLE', 'FOREIGN TABLE', 'VIEW', 'MATERIALIZED VIEW']);
const droppedBesides: ReadonlySet<string> = new Set([
  'SCHEMA',
  'SEQUENCE',
  'TYPE',
  'DOMAIN',
  'FUNCTION',
  'PROCEDURE',
  'AGGREGATE',
  'PUBLICATION',
]);

/**
 * What hangs on all that is dropped first (`clean`), and is not made again. Columns and checks are the table itself: they
 * become as they are in the archive.
 * @param noPrivileges no grants are made
 */
export async function findFallen(
  connection: Connection,
  entries: readonly ArchiveEntry[],
  noPrivileges: boolean,
  serverMajor: number,
): Promise<Fallen> {
  const relations = entries.filter(({ type }) => dropped.has(type));
  const made = new Map(entries.map((entry) => [keyOf({ ...entry, ...ownerOf(entry), name: plainName(entry) }), entry]));
  const isOld = entries.some(({ type, name }) => namedInTwo.has(type) && !name.includes(' '));
  const comesBack = (row: Row): boolean => {
    const key = row.type === 'REVOKED' ? { ...row, type: 'ACL' } : row;
    const entry = made.get(keyOf(key)) ?? (isOld ? made.get(keyOf({ ...key, name: oldName(key) })) : undefined);
    if (row.type === 'REVOKED') return !noPrivileges && entry?.revokes === true;
    if (row.type === 'DEFAULT ACL') return !noPrivileges && entry !== undefined;
    if (row.type !== 'ACL') return entry !== undefined;
    const granted = noPrivileges ? [] : (entry?.granted ?? []);
    return granted.some((given) => [row.privilege, 'ALL'].some((right) => given === `${right} ${row.grantee}`));
  };
  const besides = entries.filter(({ type }) => droppedBesides.has(type));
  const rows = await connection.query<Row>(fallenQuery, [
    relations.map(({ schema }) => schema ?? ''),
    relations.map(({ name }) => name),
  ]);
  const rights = await connection.query<Row>(fallenRightsQuery(serverMajor), [
    besides.map(({ type }) => type),
    besides.map(({ schema }) => schema ?? ''),
    besides.map(({ name }) => name),
  ]);
  const lost = [...rows, ...rights].filter((row) => !comesBack(row));
  const describeAll = (some: readonly Row[]): readonly string[] => [...new Set(some.map(describe))];
  return {
    goes: describeAll(lost.filter(({ held }) => !held)),
    holds: describeAll(lost.filter(({ held }) => held)),
  };
}

/** In two words or more: `table thing`, `TABLE name`. Before PostgreSQL 11 the first was not there. */
const namedInTwo: ReadonlySet<string> = new Set([...typesNamedAfterTable, 'ACL']);

function oldName({ type, name, of }: Row): string {
  if (!namedInTwo.has(type)) return name;
  return name.startsWith(`${of} `) ? name.slice(of.length + 1) : name.slice(name.indexOf(' ') + 1);
}

/** Default privileges of several roles are called the same. */
function ownerOf({ type, owner }: ArchiveEntry): Pick<Row, 'grantee'> {
  return { grantee: type === 'DEFAULT ACL' ? (owner ?? '') : '' };
}

function keyOf({
  type,
  schema,
  name,
  grantee,
}: Pick<ArchiveEntry, 'type' | 'schema' | 'name'> & Pick<Row, 'grantee'>): string {
  return `${type === 'FOREIGN TABLE' ? 'TABLE' : type}\0${schema ?? ''}\0${name}\0${type === 'DEFAULT ACL' ? grantee : ''}`;
}

/** Of an ACL only, names stand in it as SQL has them: `COLUMN "a table"."a column"`. */
function plainName({ type, name }: ArchiveEntry): string {
  if (type !== 'ACL') return name;
  return name.replaceAll(/"((?:[^"]|"")+)"/g, (_, quoted: string) => quoted.replaceAll('""', '"'));
}

const words: Readonly<Record<string, string>> = {
  CONSTRAINT: 'constraint',
  'FK CONSTRAINT': 'foreign key',
  'MATERIALIZED VIEW': 'materialized view',
};

function describe({ type, schema, name, of, held, privilege, grantee }: Row): string {
  const word = words[type] ?? type.toLowerCase();
  switch (type) {
    case 'TABLE':
      return held
        ? `the table ${schema}.${name}, which inherits from ${of}`
        : `the partition ${schema}.${name} of ${of}`;
    case 'PUBLICATION TABLE':
      return `the place of ${schema}.${of} in the publication ${name.slice(0, -of.length - 1)}`;
    case 'PUBLICATION TABLES IN SCHEMA':
      return `the place of the schema ${of} in the publication ${name.slice(0, -of.length - 1)}`;
    case 'DEFAULT ACL':
      return `the ${name.toLowerCase()} of ${grantee} in the schema ${schema}`;
    case 'REVOKED':
      return `that PUBLIC has no right to ${privilege} ${schema}.${of}`;
    case 'ACL':
      return `the right to ${privilege} ${schema === '' ? 'the schema ' : `${schema}.`}${of} of ${grantee}`;
    case 'VIEW':
    case 'MATERIALIZED VIEW':
      return `the ${word} ${schema}.${name} over ${of}`;
    case 'SEQUENCE':
    case 'INDEX':
    case 'STATISTICS':
      return `the ${word} ${schema}.${name} of ${of}`;
    default:
      return held
        ? `the ${word} ${schema}.${name.replace(' ', '.')} to ${of}`
        : `the ${word} ${name.slice(of.length + 1)} of ${schema}.${of}`;
  }
}
