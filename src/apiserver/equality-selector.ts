import { KubeError } from '../kube/client.ts';

/**
 * The terms of an equality selector (`key=value,key2=value2`), all of which are to hold; none of an empty one. BadRequest for what it
 * does not have (sets, inequality). `what`: whose it is, for people.
 */
export function parseEqualities(
  what: 'label' | 'field',
  selector: string | undefined,
): readonly (readonly [key: string, value: string])[] {
  if (selector === undefined || selector === '') return [];
  return selector.split(',').map((term) => {
    const match = /^\s*([^\s=!]+)\s*==?\s*([^\s=!]*)\s*$/.exec(term);
    if (!match) {
      throw new KubeError('BadRequest', `unable to parse the ${what} selector ${JSON.stringify(selector)}`, {
        status: 400,
      });
    }
    return [match[1] ?? '', match[2] ?? ''] as const;
  });
}
