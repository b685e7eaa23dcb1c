import { z } from 'zod';
import { unwrapSchema } from './schema-tree.ts';

/** A member that is null counts as absent, as in the API server. Returns a new value; nulls in lists stay (and are refused). */
export function dropNulls(schema: z.ZodType, value: unknown): unknown {
  const { core } = unwrapSchema(schema);
  if (core instanceof z.ZodArray && Array.isArray(value)) {
    return value.map((item) => dropNulls(core.element as z.ZodType, item));
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  if (core instanceof z.ZodRecord) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== null)
      .map(([key, member]) => [key, dropNulls(core.valueType as z.ZodType, member)]);
    return Object.fromEntries(members) as unknown;
  }
  if (!(core instanceof z.ZodObject)) return value;
  const shape: Readonly<Record<string, z.ZodType>> = core.shape;
  const members = Object.entries(value).flatMap(([key, member]): [string, unknown][] => {
    const memberSchema = Object.hasOwn(shape, key) ? shape[key] : undefined;
    if (memberSchema === undefined) return [[key, member]];
    if (member === null) return [];
    return [[key, dropNulls(memberSchema, member)]];
  });
  return Object.fromEntries(members);
}
