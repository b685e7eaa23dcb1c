import { KubeError, type KubeObject } from './client.ts';

/**
 * Whether an object has all fields of an equality selector (`path.of.field=value,path=value2`; undefined selects all); a field that is
 * absent is empty. BadRequest otherwise. Which fields a kind can be asked by is the server's business.
 */
export function parseFieldSelector(selector: string | undefined): (object: KubeObject) => boolean {
  if (selector === undefined || selector === '') return () => true;
  const wanted = selector.split(',').map((term) => {
    const match = /^\s*([^\s=!]+)\s*==?\s*([^\s=!]*)\s*$/.exec(term);
    if (!match)
      throw new KubeError('BadRequest', `unable to parse the field selector ${JSON.stringify(selector)}`, {
        status: 400,
      });
    return [(match[1] ?? '').split('.'), match[2] ?? ''] as const;
  });
  return (object) => wanted.every(([path, value]) => readField(object, path) === value);
}

function readField(object: unknown, path: readonly string[]): string {
  let found = object;
  for (const member of path) {
    found = typeof found === 'object' && found !== null ? Reflect.get(found, member) : undefined;
  }
  return typeof found === 'string' ? found : '';
}
