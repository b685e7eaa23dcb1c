import { checkRules } from './check-rules.ts';
import { describeIssue } from './describe-issue.ts';
import type { Kind } from './kind.ts';
import { apiVersion } from './kinds.ts';
import { labelPattern } from './parts.ts';
import { dropNulls } from './drop-nulls.ts';

/** The object as it may be stored (defaults applied to its spec), or why not. */
export type Validation<T> = { readonly object: T } | { readonly errors: readonly string[] };

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Does what the API server does with a CRD and strict field validation: defaults, schema, list types, rules.
 * `old` is the stored object of an update. Errors read like the API server's, `spec.destinations: Invalid value: …`.
 * Never throws for anything that an object may hold.
 */
export function validateObject<T>(kind: Kind, object: T, old: unknown): Validation<T> {
  if (!isRecord(object)) return { errors: ['the object must be a mapping'] };
  const errors = [...checkHead(kind, object), ...checkName(kind, object['metadata'])];

  const spec = parseTree(kind.spec, object['spec'], 'spec');
  const status = object['status'] === undefined ? undefined : parseTree(kind.status, object['status'], 'status');
  errors.push(...spec.errors, ...(status?.errors ?? []));
  // As in the API server: rules may rely on types, so they run only on what the schema accepts.
  if (errors.length > 0) return { errors };

  const stored = isRecord(old) ? old : {};
  errors.push(...checkRules(kind.spec, spec.value, storedTree(kind.spec, stored['spec']), 'spec'));
  if (status)
    errors.push(...checkRules(kind.status, status.value, storedTree(kind.status, stored['status']), 'status'));
  if (errors.length > 0) return { errors };
  const valid = { ...object, spec: spec.value, ...(status ? { status: status.value } : {}) };
  return { object: valid };
}

const objectMembers = new Set(['apiVersion', 'kind', 'metadata', 'spec', 'status']);

function checkHead(kind: Kind, object: Readonly<Record<string, unknown>>): string[] {
  const errors: string[] = [];
  if (object['apiVersion'] !== apiVersion) {
    errors.push(`apiVersion: Invalid value: ${JSON.stringify(object['apiVersion'])}: must be ${apiVersion}`);
  }
  if (object['kind'] !== kind.kind) {
    errors.push(`kind: Invalid value: ${JSON.stringify(object['kind'])}: must be ${kind.kind}`);
  }
  for (const member of Object.keys(object)) {
    if (!objectMembers.has(member)) errors.push(`unknown field ${JSON.stringify(member)}`);
  }
  return errors;
}

/** The message of the rules on metadata.name; codegen prints the same into the CRD. */
export function nameRuleMessages(kind: Kind): { readonly length: string; readonly label: string } {
  return {
    length: `metadata.name must have at most ${kind.nameMaxLength} characters`,
    label: 'metadata.name must consist of a–z, 0–9 and -, and start and end with a letter or digit',
  };
}

/** With generateName alone the name does not exist yet: whoever makes it calls again, or checks it itself. */
function checkName(kind: Kind, metadata: unknown): string[] {
  const name = isRecord(metadata) ? metadata['name'] : undefined;
  const generateName = isRecord(metadata) ? metadata['generateName'] : undefined;
  if (name === undefined && typeof generateName === 'string' && generateName !== '') return [];
  if (typeof name !== 'string' || name === '') {
    return ['metadata.name: Required value: name or generateName is required'];
  }
  const messages = nameRuleMessages(kind);
  const errors: string[] = [];
  if (name.length > kind.nameMaxLength) errors.push(`${kind.kind}: Invalid value: ${messages.length}`);
  if (!labelPattern.test(name)) errors.push(`metadata.name: Invalid value: ${JSON.stringify(name)}: ${messages.label}`);
  return errors;
}

function parseTree(schema: Kind['spec'], value: unknown, root: string): { value: unknown; errors: readonly string[] } {
  const given = dropNulls(schema, value);
  const parsed = schema.safeParse(given, { reportInput: true });
  if (parsed.success) return { value: parsed.data, errors: [] };
  return { value: undefined, errors: parsed.error.issues.flatMap((issue) => describeIssue(issue, root)) };
}

/** The stored value with today's defaults, as the API server reads it; as it is when today's schema does not accept it. */
function storedTree(schema: Kind['spec'], value: unknown): unknown {
  if (value === undefined) return undefined;
  const parsed = schema.safeParse(value);
  return parsed.success ? parsed.data : value;
}
