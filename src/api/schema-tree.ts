import { z } from 'zod';
import { schemaRules, type Rule } from './rules.ts';

/** A schema without its wrappers (optional, default, prefault), and all that was said on any of them. */
export interface Unwrapped {
  /** object, array, record or a leaf. */
  readonly core: z.ZodType;
  readonly rules: readonly Rule[];
  /** Outer words win. */
  readonly meta: Readonly<Record<string, unknown>>;
}

export function unwrapSchema(schema: z.ZodType): Unwrapped {
  const rules: Rule[] = [];
  let meta: Record<string, unknown> = {};
  let core = schema;
  for (;;) {
    for (const found of schemaRules.get(core)?.rules ?? []) if (!rules.includes(found)) rules.push(found);
    meta = { ...z.globalRegistry.get(core), ...meta };
    if (!(core instanceof z.ZodOptional || core instanceof z.ZodDefault || core instanceof z.ZodPrefault)) {
      return { core, rules, meta };
    }
    core = core.unwrap() as z.ZodType;
  }
}
