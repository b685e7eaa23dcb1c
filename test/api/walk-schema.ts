import type { StructuralSchema } from '../../src/codegen/structural-schema.ts';

/** Every node of a schema with its path; items of a list are `[]`, values of a map `*`. */
export function* walkSchema(
  schema: StructuralSchema,
  path: string,
): Generator<{ readonly path: string; readonly schema: StructuralSchema }> {
  yield { path, schema };
  for (const [name, member] of Object.entries(schema.properties ?? {})) yield* walkSchema(member, `${path}.${name}`);
  if (schema.items) yield* walkSchema(schema.items, `${path}[]`);
  if (schema.additionalProperties) yield* walkSchema(schema.additionalProperties, `${path}.*`);
}
