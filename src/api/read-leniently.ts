import type { z } from 'zod';

/** `Open`: a word that is not of a list is taken as it is (what another version told); `Known`: it is refused (what is to be done). */
export type Words = 'Open' | 'Known';

type Reading = { readonly value: unknown } | { readonly error: z.ZodError };
type Path = readonly PropertyKey[];

/**
 * Reads what another version may have written: members that this one does not know are kept out, never a fault. Strictness belongs
 * to admission ([KEP-2885](https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/2885-server-side-unknown-field-validation)).
 */
export function readLeniently(schema: z.ZodType, value: unknown, words: Words): Reading {
  const first = schema.safeParse(value, { reportInput: true });
  if (first.success) return { value: first.data };
  const given = structuredClone(value);
  const taken: (readonly [Path, unknown])[] = [];
  let { error } = first;
  // Once for members, once for words; what is refused then is refused for another reason.
  for (let pass = 0; pass < 2; pass += 1) {
    for (const issue of error.issues) {
      if (issue.code === 'unrecognized_keys') dropMembers(memberAt(given, issue.path), issue.keys);
      const word = issue.code === 'invalid_value' ? memberAt(given, issue.path) : undefined;
      if (issue.code !== 'invalid_value' || words === 'Known' || typeof word !== 'string') continue;
      taken.push([issue.path, word]);
      put(given, issue.path, issue.values[0]);
    }
    const again = schema.safeParse(given, { reportInput: true });
    if (again.success) {
      for (const [path, word] of taken) put(again.data, path, word);
      return { value: again.data };
    }
    error = again.error;
  }
  return { error };
}

function memberAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>((at, key) => (at as Readonly<Record<PropertyKey, unknown>> | undefined)?.[key], root);
}

function dropMembers(at: unknown, keys: readonly string[]): void {
  for (const key of keys) delete (at as Record<string, unknown>)[key];
}

function put(root: unknown, path: Path, value: unknown): void {
  const key = path.at(-1);
  if (key !== undefined) (memberAt(root, path.slice(0, -1)) as Record<PropertyKey, unknown>)[key] = value;
}
