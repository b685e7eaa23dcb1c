import { z } from 'zod';
import type { LoadedObject } from './loaded-object.ts';

const key = z.string().regex(/^[-._a-zA-Z0-9]{1,253}$/, 'a key consists of letters, digits, -, _ and .');
const base64 = /^(?:[A-Za-z0-9+/\s]{4})*[A-Za-z0-9+/=\s]*$/;

const secret = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Secret'),
  metadata: z.unknown(),
  type: z.string().optional(),
  immutable: z.boolean().optional(),
  data: z.record(key, z.string().regex(base64, 'is not base64').nullable()).nullish(),
  stringData: z.record(key, z.string().nullable()).nullish(),
});

/** A Secret with all of it in `data`, as an API server stores it; no message ever holds a value. */
export function readSecret(object: LoadedObject['object']): {
  readonly object?: LoadedObject['object'];
  readonly faults: readonly string[];
} {
  const parsed = secret.safeParse(object);
  if (!parsed.success) {
    const faults = parsed.error.issues.flatMap((issue) => {
      const path = issue.path.map(String).join('.');
      if (issue.code === 'unrecognized_keys') return issue.keys.map((one) => `unknown field "${one}"`);
      const text =
        path.includes('ata.') && issue.code === 'invalid_type' ? `must be a string (in quotes)` : issue.message;
      return [`${path}: Invalid value: ${text}`];
    });
    return { faults };
  }
  const { apiVersion, kind, type, data, stringData } = parsed.data;
  const whole = {
    ...Object.fromEntries(Object.entries(data ?? {}).map(([name, value]) => [name, value ?? ''])),
    ...Object.fromEntries(
      Object.entries(stringData ?? {}).map(([name, value]) => [name, Buffer.from(value ?? '').toString('base64')]),
    ),
  };
  const { metadata } = object;
  return { object: { apiVersion, kind, metadata, type: type ?? 'Opaque', data: whole }, faults: [] };
}
