import type { KubeObject, ResourceType } from '../kube/client.ts';

/** Enough to address an object and to say which one was seen. */
export interface ObjectSeen {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly finalizers?: readonly string[];
  };
  readonly spec?: unknown;
}

/** How an object that already has the wanted name is recognised as the one that was to be created. `never`: look again. */
export type Ours =
  { readonly controllerUid: string } | { readonly specMembers: Readonly<Record<string, string | undefined>> } | 'never';

/** Exists and ours = done; exists and foreign = the look ends, and the next one sees the other object. `status` is put right after. */
export interface CreateAction {
  readonly type: 'create';
  readonly resource: ResourceType;
  readonly object: KubeObject & { readonly metadata: { readonly name: string; readonly namespace: string } };
  readonly ours: Ours;
  readonly status?: unknown;
}

/**
 * What must not be there, asked of the server itself: a cache may not have seen yet what the controller before this one has made. What
 * is there after all is known from then on, and the look ends.
 */
export interface ExpectNoneAction {
  readonly type: 'expect-none';
  readonly resource: ResourceType;
  readonly namespace: string;
  /** Few: each is a request. */
  readonly names: readonly string[];
}

/** Deletes that incarnation only. */
export interface DeleteAction {
  readonly type: 'delete';
  readonly resource: ResourceType;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly propagation: 'Background' | 'Foreground';
}

/** PUT with the resourceVersion that was seen: a stale writer conflicts and looks again. */
export interface SetStatusAction {
  readonly type: 'set-status';
  readonly resource: ResourceType;
  readonly object: ObjectSeen;
  readonly status: unknown;
}

/** Sets or removes the finalizer of ours. */
export interface FinalizerAction {
  readonly type: 'hold' | 'release';
  readonly resource: ResourceType;
  readonly object: ObjectSeen;
}

/** An event about an object. */
export interface TellAction {
  readonly type: 'tell';
  readonly about: ObjectSeen;
  readonly level: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

export type Action = CreateAction | ExpectNoneAction | DeleteAction | SetStatusAction | FinalizerAction | TellAction;

/** What to do now, in order, and when to look again if nothing happens (milliseconds since the epoch). */
export interface Plan {
  readonly actions: readonly Action[];
  readonly wakeAt?: number | undefined;
}

/** The earliest of some times; undefined when there is none. */
export function earliest(...times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}
