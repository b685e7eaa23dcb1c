import { z } from 'zod';
import { unwrapSchema } from '../api/schema-tree.ts';

/** The part of apiextensions/v1 JSONSchemaProps that our kinds need; anything else is refused. */
export interface StructuralSchema {
  readonly type: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly format?: 'int32' | 'int64' | 'date-time';
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly items?: StructuralSchema;
  readonly additionalProperties?: StructuralSchema;
  readonly 'x-kubernetes-list-type'?: 'set' | 'map' | 'atomic';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-validations'?: readonly ValidationRule[];
}

export interface ValidationRule {
  readonly rule: string;
  readonly message: string;
}

const types = new Set(['object', 'array', 'string', 'integer', 'number', 'boolean']);
/** Copied as they are, in the order in which they are printed. */
const plainKeywords = [
  'description',
  'type',
  'format',
  'enum',
  'default',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'pattern',
  'minItems',
  'maxItems',
  'maxProperties',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-validations',
] as const;
/** Handled one by one below. */
const nestedKeywords = ['properties', 'required', 'items', 'additionalProperties', 'propertyNames', '$schema'];
const known = new Set<string>([...plainKeywords, ...nestedKeywords]);

/** zod knows leap days; in the CRD the format does. Both accept the same texts (test/api/bad-objects.ts). */
const dateTimePattern = String.raw`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`;

/**
 * Prints a schema as Kubernetes wants it: every node typed, no unions, objects closed by pruning instead of
 * `additionalProperties: false`, maps of an enum as properties. Throws on any keyword it does not know, with its path.
 */
export function printStructuralSchema(schema: z.ZodType): StructuralSchema {
  const printed = z.toJSONSchema(schema, {
    target: 'openapi-3.0',
    io: 'input',
    override: ({ zodSchema, jsonSchema }) => {
      const { rules } = unwrapSchema(zodSchema as unknown as z.ZodType);
      const validations = rules.map(({ cel, message }) => ({ rule: cel, message }));
      if (validations.length > 0) Object.assign(jsonSchema, { 'x-kubernetes-validations': validations });
    },
  });
  return makeStructural(printed, '');
}

type JsonSchema = Readonly<Record<string, unknown>>;

function makeStructural(printed: JsonSchema, path: string): StructuralSchema {
  for (const keyword of Object.keys(printed)) {
    if (!known.has(keyword)) throw new Error(`${path || 'the root'}: a structural schema has no ${keyword}`);
  }
  if (typeof printed['type'] !== 'string' || !types.has(printed['type'])) {
    throw new Error(
      `${path || 'the root'}: a structural schema needs one type, not ${JSON.stringify(printed['type'])}`,
    );
  }
  const result: Record<string, unknown> = {};
  for (const keyword of plainKeywords) if (printed[keyword] !== undefined) result[keyword] = printed[keyword];
  if (result['minimum'] === Number.MIN_SAFE_INTEGER) delete result['minimum'];
  if (typeof result['pattern'] === 'string') result['pattern'] = result['pattern'].replaceAll(String.raw`\/`, '/');
  if (result['format'] === 'date-time') result['pattern'] = dateTimePattern;
  Object.assign(result, nestedSchemas(printed, path));
  return result as unknown as StructuralSchema;
}

function nestedSchemas(printed: JsonSchema, path: string): Readonly<Record<string, unknown>> {
  const result: Record<string, unknown> = {};
  const { required, properties, items, additionalProperties } = printed;
  if (Array.isArray(required) && required.length > 0) result['required'] = required;
  if (properties !== undefined) {
    const members = Object.entries(properties as Readonly<Record<string, JsonSchema>>);
    result['properties'] = Object.fromEntries(
      members.map(([name, member]) => [name, makeStructural(member, `${path}.${name}`)]),
    );
  }
  if (items !== undefined) result['items'] = makeStructural(items as JsonSchema, `${path}[]`);
  if (additionalProperties !== undefined && additionalProperties !== false) {
    const value = makeStructural(additionalProperties as JsonSchema, `${path}.*`);
    const names = enumOfNames(printed);
    if (names) result['properties'] = Object.fromEntries(names.map((name) => [name, value]));
    else result['additionalProperties'] = value;
  }
  return result;
}

/** The keys of a map that may have only these: OpenAPI 3.0 has no propertyNames, but zod lists them as required. */
function enumOfNames(printed: JsonSchema): readonly string[] | undefined {
  const names = printed['propertyNames'] as { enum?: readonly string[] } | undefined;
  return names?.enum ?? (printed['required'] as readonly string[] | undefined);
}
