import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { kinds } from '../../src/api/kinds.ts';
import { readLeniently } from '../../src/api/read-leniently.ts';
import { goodObjects, goodStatuses } from './good-objects.ts';
import type { TestObject } from './object-cases.ts';
import { goodRestores, goodRestoreStatuses } from './restore-objects.ts';

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** With a member of a later version in every object, but not in maps, whose keys are the user's. */
function extend(value: unknown, schema: z.ZodType, read = unwrap(schema)): unknown {
  if (read instanceof z.ZodArray && Array.isArray(value)) {
    return value.map((item) => extend(item, read.element as z.ZodType));
  }
  if (!(read instanceof z.ZodObject) || !isRecord(value)) return value;
  const shape = read.shape as Readonly<Record<string, z.ZodType>>;
  const members = Object.entries(value).map(([key, member]) => [
    key,
    shape[key] === undefined ? member : extend(member, shape[key]),
  ]);
  return { ...Object.fromEntries(members), fromTheFuture: { fromTheFuture: [1] } };
}

function unwrap(schema: z.ZodType): z.ZodType {
  const isWrapper =
    schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault;
  return isWrapper ? unwrap(schema.unwrap() as z.ZodType) : schema;
}

const kindOf = (name: string) => kinds.find(({ kind }) => kind === name);
const specs = [...goodObjects, ...goodRestores].map(({ object }) => object as TestObject & { kind: string });
const statuses = [...goodStatuses, ...goodRestoreStatuses];

describe('What a later version has written', () => {
  it('is read as if its new members were not there, in every object at every depth', () => {
    expect(specs.length + statuses.length).toBeGreaterThan(40);
    let extended = 0;
    const same = (schema: z.ZodType, value: unknown, words: 'Open' | 'Known', what: string): void => {
      const later = extend(value, schema);
      extended += JSON.stringify(later).split('fromTheFuture":{').length - 1;
      const before = JSON.stringify(later);
      expect(readLeniently(schema, later, words), what).toEqual(readLeniently(schema, value, words));
      expect(JSON.stringify(later), `${what}: what is cached is not touched`).toBe(before);
    };
    for (const { kind, spec, metadata } of specs) {
      const schema = kindOf(kind)?.spec;
      if (schema !== undefined) same(schema, spec, 'Known', `${kind} ${JSON.stringify(metadata)}`);
    }
    for (const { kind, status } of statuses) {
      const schema = kindOf(kind)?.status;
      if (schema !== undefined) same(schema, status, 'Open', `status of ${kind}`);
    }
    expect(extended).toBeGreaterThan(200);
  });

  const status = kindOf('Backup')?.status ?? z.never();
  const destination = { location: 'bucket', outcome: 'Frozen', reason: 'GlacierSlow' };

  it('keeps its words where a status tells them', () => {
    const given = { phase: 'Thawing', destinations: [destination, { location: 'disk', outcome: 'Stored', warmth: 7 }] };
    expect(readLeniently(status, given, 'Open')).toEqual({
      value: { phase: 'Thawing', destinations: [destination, { location: 'disk', outcome: 'Stored' }] },
    });
  });

  it('is a fault where a spec would do something that this version does not know', () => {
    const spec = kindOf('BackupPolicy')?.spec ?? z.never();
    const policy = specs.find(({ kind }) => kind === 'BackupPolicy')?.spec as object;
    const given = { ...policy, concurrencyPolicy: 'Merge', more: 1 };
    expect(readLeniently(spec, given, 'Known')).toHaveProperty('error.issues.0.path', ['concurrencyPolicy']);
  });

  it.each([[null], ['text'], [7], [[]], [{ destinations: null }], [{ destinations: [null] }], [{ destinations: 'x' }]])(
    'is a fault where it is something else: %j',
    (given) => {
      expect(readLeniently(status, given, 'Open')).toHaveProperty('error');
    },
  );

  it('touches no prototype', () => {
    const given = JSON.parse(
      '{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}',
    ) as unknown;
    expect(readLeniently(status, given, 'Open')).toEqual({ value: {} });
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});
