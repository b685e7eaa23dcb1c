import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { kinds } from '../../src/api/kinds.ts';
import type { Rule } from '../../src/api/rules.ts';
import { unwrapSchema } from '../../src/api/schema-tree.ts';
import { printStructuralSchema } from '../../src/codegen/structural-schema.ts';
import { walkSchema } from './walk-schema.ts';

const nodes = kinds.flatMap((kind) => [
  ...walkSchema(printStructuralSchema(kind.spec), `${kind.kind}.spec`),
  ...walkSchema(printStructuralSchema(kind.status), `${kind.kind}.status`),
]);
const pathsOf = (found: typeof nodes): string[] => found.map(({ path }) => path);
/** Last member of a path: `x.names[]` → names */
const memberOf = (path: string): string => /([A-Za-z0-9]+)(?:\[\]|\.\*)*$/.exec(path)?.[1] ?? path;

/** Whole numbers that are neither bytes nor a time. Add a name here only if its unit is plain from the name alone. */
const plainNumbers = [
  'observedGeneration',
  'conditionalPut',
  'multipart',
  'abort',
  'unfinishedUploads',
  'objects',
  'removedObjects',
  'removedUploads',
  'lastRestoredGeneration',
  'port',
  'level',
  'times',
  'failedTries',
  'retries',
  'runAsUser',
  'runAsGroup',
  'fsGroup',
  'supplementalGroups',
  'limit',
  'jobs',
  'successfulRestoresHistoryLimit',
  'failedRestoresHistoryLimit',
  'successfulRunsHistoryLimit',
  'failedRunsHistoryLimit',
  'page',
  'backups',
  'damagedManifests',
  'failures',
  'missedRuns',
  'count',
  'databasesDone',
  'databasesTotal',
  'keepLast',
  'keepHourly',
  'keepDaily',
  'keepWeekly',
  'keepMonthly',
  'keepYearly',
  'minimum',
  'kept',
  'removable',
  'deferred',
  'removed',
  'failuresInRow',
  'backfill',
  'missing',
  'copied',
  // members of counts by result or operation
  'Unchanged',
  'Succeeded',
  'PartlyFailed',
  'Failed',
  'put',
  'get',
  'list',
  'delete',
];
/** A size whose name says so, but not at its end; a rate. */
const otherBytes = ['bytes', 'bytesPerSecond'];

/** Enums whose words are somebody else's: those of `without` are PostgreSQL's, as in pg_restore's --no-tablespaces. */
const foreignWords = [
  '.postgres.tls.mode',
  'spec.compression.algorithm',
  'serverSideEncryption.algorithm',
  'options.without[]',
];

describe('The schemas', () => {
  it('have a maxLength or an enum for every string', () => {
    const strings = nodes.filter(({ schema }) => schema.type === 'string');

    expect(strings.length).toBeGreaterThan(50);
    expect(pathsOf(strings.filter(({ schema }) => schema.maxLength === undefined && !schema.enum))).toEqual([]);
  });

  it('have a maxItems for every list and a maxProperties for every map', () => {
    const lists = nodes.filter(({ schema }) => schema.type === 'array' && schema.maxItems === undefined);
    const maps = nodes.filter(({ schema }) => schema.additionalProperties && schema.maxProperties === undefined);

    expect([...pathsOf(lists), ...pathsOf(maps)]).toEqual([]);
  });

  it('describe every list and every object as one thing: items, properties or values', () => {
    const odd = nodes.filter(({ schema }) => {
      if (schema.type === 'array') return !schema.items;
      if (schema.type === 'object') return Boolean(schema.properties) === Boolean(schema.additionalProperties);
      return Boolean(schema.items ?? schema.properties ?? schema.additionalProperties);
    });

    expect(pathsOf(odd)).toEqual([]);
  });

  it('have a format and bounds for every whole number', () => {
    const numbers = nodes.filter(({ schema }) => schema.type === 'integer');
    const loose = numbers.filter(
      ({ schema }) => !schema.format || schema.minimum === undefined || schema.maximum === undefined,
    );

    expect(numbers.length).toBeGreaterThan(15);
    expect(pathsOf(loose)).toEqual([]);
  });

  it('say the unit of every number in its name', () => {
    const numbers = nodes.filter(({ schema }) => schema.type === 'integer' || schema.type === 'number');
    const unitless = numbers.filter(({ path }) => {
      const member = memberOf(path);
      if (plainNumbers.includes(member) || otherBytes.includes(member)) return false;
      return !/(Bytes|Seconds|SecondsAfterFinished|Milliseconds|Days)$/.test(member);
    });

    expect(pathsOf(unitless)).toEqual([]);
  });

  it('keep bytes and times in int64', () => {
    const small = nodes.filter(({ path, schema }) => {
      const member = memberOf(path);
      const isLarge = otherBytes.includes(member) || /(Bytes|Seconds|Days)$/.test(member);
      return isLarge && (schema.type !== 'integer' || schema.format !== 'int64');
    });

    expect(pathsOf(small)).toEqual([]);
  });

  it('have times of RFC 3339 under names that say so', () => {
    const times = nodes.filter(({ schema }) => schema.format === 'date-time');

    expect(times.length).toBeGreaterThan(5);
    expect(pathsOf(times.filter(({ path }) => !/(Time|At|\.at|Since|Through|slot|Slot)$/.test(path)))).toEqual([]);
  });

  it('describe every field of every spec, in a whole sentence or more', () => {
    const fields = nodes.filter(({ path }) => /^[A-Za-z]+\.spec\./.test(path) && !/(\[\]|\.\*)$/.test(path));
    const mute = fields.filter(({ schema }) => !/^[^\s].{7,}[.)]$/.test(schema.description ?? ''));

    expect(fields.length).toBeGreaterThan(50);
    expect(pathsOf(mute)).toEqual([]);
  });

  it('write the words of enums in PascalCase', () => {
    const words = nodes
      .filter(({ path }) => !foreignWords.some((end) => path.endsWith(end)))
      .flatMap(({ path, schema }) => (schema.enum ?? []).map((word) => ({ path, word })));

    expect(words.length).toBeGreaterThan(10);
    expect(words.filter(({ word }) => !/^([A-Z][A-Za-z0-9]*)$/.test(word))).toEqual([]);
  });

  it('name lists in the plural or as what they hold', () => {
    const lists = nodes.filter(({ schema }) => schema.type === 'array').map(({ path }) => memberOf(path));
    const collective = [
      'active',
      'afterSql',
      'beforeSql',
      'searchPath',
      'rolesCreated',
      'exclude',
      'excludeTableData',
      'stored',
      'failed',
      'without',
      'signedBy',
    ];

    expect(lists.filter((name) => !name.endsWith('s') && !collective.includes(name))).toEqual([]);
  });

  it('have only patterns that mean the same in JavaScript and in RE2, and anchor them', () => {
    const patterns = nodes.flatMap(({ path, schema }) =>
      schema.pattern === undefined || schema.format === 'date-time' ? [] : [{ path, pattern: schema.pattern }],
    );

    expect(patterns.length).toBeGreaterThan(20);
    expect(patterns.filter(({ pattern }) => !isPortable(pattern))).toEqual([]);
    expect(patterns.filter(({ pattern }) => !isAnchored(pattern))).toEqual([]);
  });

  it('have a message for every rule and no rule twice at one place', () => {
    const rules = nodes.flatMap(({ path, schema }) =>
      (schema['x-kubernetes-validations'] ?? []).map(({ rule, message }) => ({ id: `${path}: ${rule}`, message })),
    );

    expect(rules.length).toBeGreaterThan(20);
    expect(rules.filter(({ message }) => !/^[^A-Z\s].*[^.\s]$/.test(message))).toEqual([]);
    expect(new Set(rules.map(({ id }) => id)).size).toBe(rules.length);
  });

  it('compare with the old object exactly in the rules that are transitions', () => {
    const rules = kinds.flatMap(({ spec, status }) => [...listRules(spec), ...listRules(status)]);

    expect(rules.length).toBeGreaterThan(20);
    expect(rules.filter(({ cel, transition }) => transition !== /\boldSelf\b/.test(cel))).toEqual([]);
  });

  it('have columns that point at fields that exist', () => {
    const known = new Set(pathsOf(nodes));
    const missing = kinds.flatMap(({ kind, columns, conditions }) =>
      columns
        .filter(({ jsonPath }) => {
          const condition = /conditions\[\?\(@\.type=="(\w+)"\)\]/.exec(jsonPath)?.[1];
          if (condition !== undefined) return !conditions.some(({ type }) => type === condition);
          if (jsonPath.startsWith('.metadata.')) return false;
          return !known.has(`${kind}${jsonPath.replaceAll('[*]', '[]')}`);
        })
        .map(({ jsonPath }) => `${kind}${jsonPath}`),
    );

    expect(missing).toEqual([]);
  });
});

/** Rules as they are registered, with their predicates. */
function listRules(schema: z.ZodType): Rule[] {
  const { core, rules } = unwrapSchema(schema);
  const inner: z.ZodType[] = [];
  if (core instanceof z.ZodObject) inner.push(...Object.values<z.ZodType>(core.shape));
  if (core instanceof z.ZodArray) inner.push(core.element as z.ZodType);
  if (core instanceof z.ZodRecord) inner.push(core.valueType as z.ZodType);
  return [...rules, ...inner.flatMap(listRules)];
}

/** Without what JavaScript and RE2 read differently: `.` and blanks (line ends, Unicode), look-around, back references, properties. */
function isPortable(pattern: string): boolean {
  const outsideClasses = pattern.replaceAll(/\[(?:[^\]\\]|\\.)*\]/g, '');
  if (/\\[sSbBpPkuvcxQEzAC1-9]/.test(pattern)) return false;
  if (/\(\?(?!:)/.test(outsideClasses)) return false;
  return !outsideClasses.replaceAll(/\\./g, '').includes('.');
}

/** Each alternative at the top level is `^…$`. */
function isAnchored(pattern: string): boolean {
  let depth = 0;
  const alternatives = [''];
  for (const [token] of pattern.matchAll(/\\.|\[(?:[^\]\\]|\\.)*\]|./gs)) {
    if (token === '(') depth += 1;
    if (token === ')') depth -= 1;
    if (token === '|' && depth === 0) alternatives.push('');
    else alternatives[alternatives.length - 1] += token;
  }
  return alternatives.every((text) => text.startsWith('^') && text.endsWith('$'));
}

describe('The lint of patterns', () => {
  it.each([String.raw`^\s+$`, '^a.b$', '^(?=a)$', String.raw`^(a)\1$`, String.raw`^\p{L}$`])(
    'refuses %s',
    (pattern) => {
      expect(isPortable(pattern)).toBe(false);
    },
  );

  it.each([String.raw`^a\.b$`, '^[^.]+$', '^(?:a|b){1,5}$', String.raw`^\d{4}$`, String.raw`^[^\0\r\n]$`])(
    'accepts %s',
    (pattern) => {
      expect(isPortable(pattern)).toBe(true);
    },
  );

  it('knows an open end', () => {
    expect([isAnchored('^a|b$'), isAnchored('^a$|^b$'), isAnchored('^(a|b)$'), isAnchored('a')]).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });
});
