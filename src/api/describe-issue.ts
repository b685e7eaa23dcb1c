import type { z } from 'zod';

type Issue = z.core.$ZodIssue;

/** One issue of zod in the API server's words; several lines where one issue names several members. */
export function describeIssue(issue: Issue, root: string): readonly string[] {
  const path = pathText(root, issue.path);
  const value = valueText(issue.input);
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => `unknown field "${path}.${key}"`);
  if (issue.code === 'invalid_type' && issue.input === undefined) return [`${path}: Required value`];
  if (issue.code === 'invalid_value') {
    const supported = issue.values.map((word) => JSON.stringify(word)).join(', ');
    return [
      issue.input === undefined
        ? `${path}: Required value`
        : `${path}: Unsupported value: ${value}: supported values: ${supported}`,
    ];
  }
  return [describeBound(issue, path, value) ?? `${path}: Invalid value: ${value}: ${path} ${describeRest(issue)}`];
}

function describeRest(issue: Issue): string {
  if (issue.code === 'invalid_type') return `in body must be of type ${typeNames[issue.expected] ?? issue.expected}`;
  if (issue.code === 'invalid_format' && typeof issue.pattern === 'string' && issue.format === 'regex') {
    return `in body should match '${issue.pattern.slice(1, -1).replaceAll(String.raw`\/`, '/')}'`;
  }
  if (issue.code === 'invalid_format') return `in body must be of type ${formatNames[issue.format] ?? issue.format}`;
  return issue.message;
}

/** What JSON Schema calls the types and formats of zod that we use. */
const typeNames: Readonly<Record<string, string>> = { int: 'integer', record: 'object' };
const formatNames: Readonly<Record<string, string>> = { datetime: 'date-time' };

function describeBound(issue: Issue, path: string, value: string): string | undefined {
  if (issue.code === 'too_big') {
    const maximum = String(issue.maximum);
    if (issue.origin === 'string') return `${path}: Too long: may not be more than ${maximum} bytes`;
    if (issue.origin === 'array') {
      return `${path}: Too many: ${lengthOf(issue.input)}: must have at most ${maximum} items`;
    }
    return `${path}: Invalid value: ${value}: ${path} in body should be less than or equal to ${maximum}`;
  }
  if (issue.code === 'too_small') {
    const minimum = String(issue.minimum);
    if (issue.origin === 'string') {
      return `${path}: Invalid value: ${value}: ${path} in body should be at least ${minimum} chars long`;
    }
    if (issue.origin === 'array') {
      return `${path}: Invalid value: ${lengthOf(issue.input)}: ${path} in body should have at least ${minimum} items`;
    }
    return `${path}: Invalid value: ${value}: ${path} in body should be greater than or equal to ${minimum}`;
  }
  return undefined;
}

const lengthOf = (input: unknown): number => (Array.isArray(input) ? input.length : 0);

function pathText(root: string, path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : `${text}.${String(step)}`),
    root,
  );
}

/** Enough to recognise a value; an error never carries a whole object. */
function valueText(input: unknown): string {
  if (typeof input === 'object' && input !== null) return Array.isArray(input) ? '"array"' : '"object"';
  const text = JSON.stringify(input) ?? 'undefined';
  return text.length <= 200 ? text : `${text.slice(0, 200)}…`;
}
