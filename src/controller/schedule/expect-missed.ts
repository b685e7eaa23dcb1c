import type { KubeObject, ResourceType } from '../../kube/client.ts';
import type { Action } from '../action.ts';
import type { SlotsDecision } from './slots.ts';

/** Before a slot counts as missed it is asked whether nobody has run it: a leader that died may have, and its word not have come. */
export function expectMissed(
  resource: ResourceType,
  { metadata }: { readonly metadata: Pick<KubeObject['metadata'], 'namespace'> },
  { missedNames = [] }: SlotsDecision,
): readonly Action[] {
  const { namespace } = metadata;
  return missedNames.length === 0 || namespace === undefined
    ? []
    : [{ type: 'expect-none', resource, namespace, names: missedNames }];
}
