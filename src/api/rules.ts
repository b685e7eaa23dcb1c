import { z } from 'zod';

/**
 * A rule beyond types and bounds. The CEL text is printed into the CRD and runs in the API server; the predicate says the same
 * and runs in the embedded client. One table of bad objects (test/api) runs on both.
 */
export interface Rule {
  /** CEL over `self`, and `oldSelf` where `transition`. */
  readonly cel: string;
  readonly message: string;
  /** Compares with the stored object: runs only on updates (as CEL does when a rule names oldSelf). */
  readonly transition: boolean;
  readonly holds: (now: never, old: never) => boolean;
}

/** Rules by schema; read by codegen (CRD) and by validate.ts (embedded client). */
export const schemaRules = z.registry<{ rules: readonly Rule[] }>();

export function rule<T>(cel: string, holds: (now: T) => boolean, message: string): Rule {
  return { cel, message, transition: false, holds: (now) => holds(now) };
}

export function transitionRule<T>(cel: string, holds: (now: T, old: T) => boolean, message: string): Rule {
  return { cel, message, transition: true, holds: (now, old) => holds(now, old) };
}

/** Attaches rules to a schema and returns the schema. Attach them last, before `.optional()` or `.default()`. */
export function withRules<S extends z.ZodType>(schema: S, ...rules: readonly Rule[]): S {
  schemaRules.add(schema, { rules });
  return schema;
}

/** Exactly one of the named members is there. */
export function exactlyOne(...members: readonly string[]): Rule {
  return rule<Record<string, unknown>>(
    `[${members.map((name) => `has(self.${name})`).join(', ')}].filter(present, present).size() == 1`,
    (self) => members.filter((name) => self[name] !== undefined).length === 1,
    `exactly one of ${members.join(', ')} must be set`,
  );
}

/** An optional member cannot be added, removed or changed once the object exists. */
export function immutableMember(member: string, why: string): Rule {
  return transitionRule<Record<string, unknown>>(
    `has(self.${member}) == has(oldSelf.${member}) && (!has(self.${member}) || self.${member} == oldSelf.${member})`,
    (now, old) => JSON.stringify(now[member]) === JSON.stringify(old[member]),
    `${member} is immutable: ${why}`,
  );
}
