import type { KubeObject } from '../kube/client.ts';

export interface LoadedObject {
  readonly object: KubeObject & { readonly metadata: { readonly name: string; readonly namespace: string } };
  /** `file:line` of its beginning. */
  readonly origin: string;
}
