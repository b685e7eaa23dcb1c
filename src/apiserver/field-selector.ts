import type { KubeObject } from '../kube/client.ts';
import { parseEqualities } from './equality-selector.ts';

/**
 * Whether an object has all fields of an equality selector (`path.of.field=value,path=value2`; undefined selects all); a field that is
 * absent is empty. BadRequest otherwise. Which fields a kind can be asked by is the server's business.
 */
export function parseFieldSelector(selector: string | undefined): (object: KubeObject) => boolean {
  const wanted = parseEqualities('field', selector).map(([path, value]) => [path.split('.'), value] as const);
  return (object) => wanted.every(([path, value]) => readField(object, path) === value);
}

function readField(object: unknown, path: readonly string[]): string {
  let found = object;
  for (const member of path) {
    found = typeof found === 'object' && found !== null ? Reflect.get(found, member) : undefined;
  }
  return typeof found === 'string' ? found : '';
}
