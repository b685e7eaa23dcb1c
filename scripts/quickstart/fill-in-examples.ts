import { parseAllDocuments, stringify } from 'yaml';

/** What is put in place of an example's values: path (`spec.s3.endpoint`) to value; `undefined` takes the field away. */
export type Changes = Readonly<Record<string, string | number | readonly string[] | undefined>>;

/**
 * The documents of example files that `wanted` names (`Kind/name`), with its changes. Only what an example has can be changed, so that
 * an example and what is run stay the same thing. Keys of Secrets hold dots: `stringData/ca.crt`.
 * @throws Error when an example, or a field of it, is not there
 */
export function fillInExamples(texts: readonly string[], wanted: Readonly<Record<string, Changes>>): string {
  const examples = texts
    .flatMap((text) => parseAllDocuments(text).map((document): unknown => document.toJS()))
    .filter(isRecord);
  return Object.entries(wanted)
    .map(([name, changes]) => {
      const example = examples.find((one) => nameOf(one) === name);
      if (example === undefined) throw new Error(`there is no example ${name}`);
      const object = structuredClone(example);
      for (const [path, value] of Object.entries(changes)) change(object, path, value, name);
      return stringify(object);
    })
    .join('---\n');
}

function change(object: Record<string, unknown>, path: string, value: Changes[string], name: string): void {
  const steps = path.split(path.includes('/') ? '/' : '.');
  const last = steps.pop() ?? '';
  let parent: unknown = object;
  for (const step of steps) parent = isRecord(parent) ? parent[step] : undefined;
  if (!isRecord(parent) || !(last in parent)) throw new Error(`the example ${name} has no ${path}`);
  if (value === undefined) delete parent[last];
  else parent[last] = value;
}

function nameOf({ kind, metadata }: Record<string, unknown>): string {
  return [kind, isRecord(metadata) ? metadata['name'] : undefined].join('/');
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
