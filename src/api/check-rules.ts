import { z } from 'zod';
import { unwrapSchema } from './schema-tree.ts';

/**
 * All that a structural schema says beyond types and bounds: rules, list types, the size of maps. `now` was accepted by the schema
 * and has its defaults; `old` is undefined where there is nothing to compare with (creation, a new member, a list that is no map).
 */
export function checkRules(schema: z.ZodType, now: unknown, old: unknown, path: string): string[] {
  if (now === undefined) return [];
  const { core, rules, meta } = unwrapSchema(schema);
  const errors: string[] = [];
  for (const { transition, holds, message } of rules) {
    if (transition && old === undefined) continue;
    if (!holds(now as never, old as never)) errors.push(`${path}: Invalid value: ${message}`);
  }
  if (core instanceof z.ZodArray) errors.push(...checkArray(core, meta, now, old, path));
  if (core instanceof z.ZodRecord) errors.push(...checkMap(core, meta, now, old, path));
  if (core instanceof z.ZodObject) {
    const shape: Readonly<Record<string, z.ZodType>> = core.shape;
    for (const [key, member] of Object.entries(shape)) {
      errors.push(...checkRules(member, memberOf(now, key), memberOf(old, key), `${path}.${key}`));
    }
  }
  return errors;
}

function memberOf(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[key];
}

type Meta = Readonly<Record<string, unknown>>;

function checkMap(core: z.ZodRecord, meta: Meta, now: unknown, old: unknown, path: string): string[] {
  const members = Object.entries(now as Readonly<Record<string, unknown>>);
  const limit = meta['maxProperties'];
  if (typeof limit === 'number' && members.length > limit) {
    return [`${path}: Too many: ${members.length}: must have at most ${limit} items`];
  }
  return members.flatMap(([key, member]) =>
    checkRules(core.valueType as z.ZodType, member, memberOf(old, key), `${path}.${key}`),
  );
}

function checkArray(core: z.ZodArray, meta: Meta, now: unknown, old: unknown, path: string): string[] {
  const items = now as readonly unknown[];
  const listType = meta['x-kubernetes-list-type'];
  if (listType !== 'map') {
    const duplicates = listType === 'set' ? findDuplicates(items, (item) => item, path) : [];
    return [
      ...duplicates,
      ...items.flatMap((item, index) => checkRules(core.element as z.ZodType, item, undefined, `${path}[${index}]`)),
    ];
  }
  const keys = meta['x-kubernetes-list-map-keys'] as readonly string[];
  const keyOf = (item: unknown) => Object.fromEntries(keys.map((key) => [key, memberOf(item, key)]));
  const before = new Map((Array.isArray(old) ? old : []).map((item) => [JSON.stringify(keyOf(item)), item as unknown]));
  return [
    ...findDuplicates(items, keyOf, path),
    ...items.flatMap((item, index) =>
      checkRules(core.element as z.ZodType, item, before.get(JSON.stringify(keyOf(item))), `${path}[${index}]`),
    ),
  ];
}

function findDuplicates(items: readonly unknown[], identify: (item: unknown) => unknown, path: string): string[] {
  const seen = new Set<string>();
  return items.flatMap((item, index) => {
    const identity = JSON.stringify(identify(item));
    if (seen.has(identity)) return [`${path}[${index}]: Duplicate value: ${identity}`];
    seen.add(identity);
    return [];
  });
}
