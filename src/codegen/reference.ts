import type { Kind } from '../api/kind.ts';
import { annotations, apiVersion, finalizer, kinds, labels } from '../api/kinds.ts';
import { nameRules } from './crd.ts';
import { formatCode, formatTable } from './markdown.ts';
import { printStructuralSchema, type StructuralSchema } from './structural-schema.ts';

interface Field {
  readonly path: string;
  readonly schema: StructuralSchema;
  readonly required: boolean;
}

/** docs/reference.md: every field of every kind, from the same schema as the CRDs. */
export function printReference(): string {
  return [
    '# Reference',
    '',
    `API group and version: ${formatCode(apiVersion)}. All kinds are namespaced and belong to the category \`pgbackup\` (\`kubectl get pgbackup\`).`,
    'Lengths count characters. A map’s keys are written as `*`, the items of a list as `[]`.',
    '',
    ...kinds.flatMap(printKind),
    '## Annotations and labels',
    '',
    formatTable(
      ['Annotation', 'Name'],
      Object.entries(annotations).map(([name, value]) => [formatCode(value), name]),
    ),
    '',
    formatTable(
      ['Label', 'Name'],
      Object.entries(labels).map(([name, value]) => [formatCode(value), name]),
    ),
    '',
    `Finalizer: ${formatCode(finalizer)}.`,
    '',
  ].join('\n');
}

function printKind(kind: Kind): string[] {
  const spec = printStructuralSchema(kind.spec);
  const status = printStructuralSchema(kind.status);
  const secrets = findSecretReferences(spec, 'spec');
  return [
    `## ${kind.kind}`,
    '',
    kind.description,
    '',
    `Plural ${formatCode(kind.plural)}, short ${kind.shortNames.map(formatCode).join(', ')}.`,
    '',
    '### Fields of spec',
    '',
    fieldTable(listFields(spec, 'spec')),
    '',
    '### Rules',
    '',
    ...nameRules(kind).map((rule) => `- ${rule.message}`),
    ...listRules(spec, 'spec').map(({ path, message }) => `- ${formatCode(path)}: ${message}`),
    '',
    ...(secrets.length === 0
      ? []
      : ['### Default keys of Secrets', '', formatTable(['Secret of', 'Role', 'Default key'], secrets), '']),
    '### Conditions',
    '',
    formatTable(
      ['Condition', 'True means'],
      kind.conditions.map((condition) => [formatCode(condition.type), condition.description]),
    ),
    '',
    '### Fields of status',
    '',
    fieldTable(listFields(status, 'status')),
    '',
    '### Columns of kubectl get',
    '',
    formatTable(
      ['Column', 'From', 'Meaning'],
      kind.columns.map((column) => [
        column.priority === 1 ? `${column.name} (-o wide)` : column.name,
        formatCode(column.jsonPath),
        column.description,
      ]),
    ),
    '',
  ];
}

function fieldTable(fields: readonly Field[]): string {
  return formatTable(
    ['Field', 'Type', 'Required, default', 'Bounds', 'Meaning'],
    fields.map(({ path, schema, required }) => [
      formatCode(path),
      typeText(schema),
      required ? 'required' : defaultText(schema),
      boundsText(schema),
      schema.description ?? '',
    ]),
  );
}

function listFields(schema: StructuralSchema, path: string): Field[] {
  const members = Object.entries(schema.properties ?? {}).flatMap(([name, member]) => {
    const memberPath = `${path}.${name}`;
    const required = schema.required?.includes(name) ?? false;
    return [{ path: memberPath, schema: member, required }, ...listFields(member, memberPath)];
  });
  const inner = [
    ...(schema.items?.properties ? listFields(schema.items, `${path}[]`) : []),
    ...(schema.additionalProperties?.properties ? listFields(schema.additionalProperties, `${path}.*`) : []),
  ];
  return [...members, ...inner];
}

/** Every schema below this one, with its path. */
function* walk(schema: StructuralSchema, path: string): Generator<readonly [string, StructuralSchema]> {
  yield [path, schema];
  for (const [name, member] of Object.entries(schema.properties ?? {})) yield* walk(member, `${path}.${name}`);
  if (schema.items) yield* walk(schema.items, `${path}[]`);
  if (schema.additionalProperties) yield* walk(schema.additionalProperties, `${path}.*`);
}

function listRules(schema: StructuralSchema, path: string): { path: string; message: string }[] {
  return [...walk(schema, path)].flatMap(([at, { 'x-kubernetes-validations': rules }]) =>
    (rules ?? []).map(({ message }) => ({ path: at, message })),
  );
}

function findSecretReferences(schema: StructuralSchema, path: string): string[][] {
  return [...walk(schema, path)].flatMap(([at, { properties }]) => {
    if (properties?.['secretName'] === undefined) return [];
    const roles = Object.entries(properties['keys']?.properties ?? {});
    return roles.map(([role, key]) => [formatCode(at), role, formatCode(String(key.default))]);
  });
}

function typeText(schema: StructuralSchema): string {
  if (schema.enum) return schema.enum.map(formatCode).join(' or ');
  if (schema.type === 'array') return `list of ${schema.items ? typeText(schema.items) : 'anything'}`;
  if (schema.additionalProperties) return `map of ${typeText(schema.additionalProperties)}`;
  return schema.format ?? schema.type;
}

function defaultText(schema: StructuralSchema): string {
  if (schema.default === undefined) return '';
  const text = JSON.stringify(schema.default);
  return text === '{}' ? '' : formatCode(typeof schema.default === 'string' ? schema.default : text);
}

function boundsText(schema: StructuralSchema): string {
  const range = (low: number | undefined, high: number | undefined, unit: string): string => {
    if (high === Number.MAX_SAFE_INTEGER) return range(low, undefined, unit);
    if (low !== undefined && high !== undefined) return `${low}–${high}${unit}`;
    if (high !== undefined) return `at most ${high}${unit}`;
    return low === undefined ? '' : `at least ${low}${unit}`;
  };
  const inner = schema.items ?? schema.additionalProperties;
  const innerText = inner && !inner.properties ? boundsText(inner) : '';
  return [
    range(schema.minimum, schema.maximum, ''),
    schema.enum ? '' : range(schema.minLength, schema.maxLength, ' characters'),
    schema.format === 'date-time' || schema.pattern === undefined ? '' : formatCode(schema.pattern),
    range(schema.minItems, schema.maxItems, ' items'),
    schema['x-kubernetes-list-type'] === 'set' ? 'no duplicates' : '',
    schema['x-kubernetes-list-map-keys'] ? `one per ${schema['x-kubernetes-list-map-keys'].join(', ')}` : '',
    range(undefined, schema.maxProperties, ' entries'),
    innerText === '' ? '' : `each ${innerText}`,
  ]
    .filter((text) => text !== '')
    .join(', ');
}
