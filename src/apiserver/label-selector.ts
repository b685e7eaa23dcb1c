import type { KubeObject } from '../kube/client.ts';
import { parseEqualities } from './equality-selector.ts';

/** Whether an object has all labels of an equality selector (`key=value,key2=value2`; undefined selects all); BadRequest otherwise. */
export function parseLabelSelector(selector: string | undefined): (object: KubeObject) => boolean {
  const wanted = parseEqualities('label', selector);
  return (object) => wanted.every(([key, value]) => object.metadata.labels?.[key] === value);
}
