import { KubeError, type KubeObject } from './client.ts';

/** Whether an object has all labels of an equality selector (`key=value,key2=value2`; undefined selects all); BadRequest otherwise. */
export function parseLabelSelector(selector: string | undefined): (object: KubeObject) => boolean {
  if (selector === undefined || selector === '') return () => true;
  const wanted = selector.split(',').map((term) => {
    const match = /^\s*([^\s=!]+)\s*==?\s*([^\s=!]*)\s*$/.exec(term);
    if (!match)
      throw new KubeError('BadRequest', `unable to parse the label selector ${JSON.stringify(selector)}`, {
        status: 400,
      });
    return [match[1] ?? '', match[2] ?? ''] as const;
  });
  return (object) => wanted.every(([key, value]) => object.metadata.labels?.[key] === value);
}
