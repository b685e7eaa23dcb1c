import type { KubeObject, ResourceType } from '../kube/client.ts';

/** The object with its defaults, or why it is not valid. Both objects are frozen; `old` is undefined on create. */
export type Validate = (
  object: KubeObject,
  old: KubeObject | undefined,
) => { readonly object: KubeObject } | { readonly errors: readonly string[] };

/** A kind that the memory client knows. */
export interface MemoryType {
  readonly type: ResourceType;
  /** Status is written through putStatus only, and a change of anything else but metadata counts up the generation. */
  readonly statusSubresource?: boolean;
  readonly validate?: Validate;
}
