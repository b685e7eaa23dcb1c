/**
 * The telephone: what anybody needs of a Kubernetes API server, and nothing of backups. Two implementations pass one conformance
 * suite (test/suites/kube-conformance.ts): http-client.ts (a real API server) and memory-client.ts (the embedded one).
 */

/** A kind as the REST API addresses it. */
export interface ResourceType {
  /** '' for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface ObjectMeta {
  readonly name?: string;
  readonly generateName?: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  /** Grows by one with every change of the spec; not with status or metadata. */
  readonly generation?: number;
  /** RFC 3339, whole seconds. */
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
}

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly spec?: unknown;
  readonly status?: unknown;
  /** Members of kinds that are not shaped like spec and status (Secret.data, Event.reason …). */
  readonly [member: string]: unknown;
}

export interface ListOptions {
  /** Namespace, or undefined for all. */
  readonly namespace?: string | undefined;
  /** At most this many items a page. */
  readonly limit?: number;
  /** Token of the previous page. */
  readonly continue?: string | undefined;
  /** Equality label selector, `key=value,key2=value2`. */
  readonly labelSelector?: string;
  /** Equality field selector, `path.of.field=value,path2=value2`; a server refuses fields that it does not select a kind by. */
  readonly fieldSelector?: string;
}

export interface KubeList {
  readonly items: readonly KubeObject[];
  /** Where to start a watch from. */
  readonly resourceVersion: string;
  /** Present while there are more pages. */
  readonly continue?: string;
}

export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: KubeObject }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

export interface WatchOptions {
  readonly namespace?: string | undefined;
  readonly resourceVersion: string;
  readonly labelSelector?: string;
  /** The server ends the watch after about this time; the iteration then ends normally. */
  readonly timeoutSeconds?: number;
}

export interface DeleteOptions {
  /** Delete only this incarnation; another one fails with Conflict. */
  readonly uid?: string;
  /** What happens to what the object owns. Default Background. */
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan';
  /** Of a pod: 0 takes the object away at once, which is for nodes whose process is gone. The embedded client does so always. */
  readonly gracePeriodSeconds?: number;
}

export interface LogOptions {
  readonly container: string;
  /** Only the last lines. */
  readonly tailLines?: number;
  /** At most this many bytes, from the start of what tailLines chose. */
  readonly limitBytes?: number;
}

/**
 * All calls reject with KubeError for an answer of the server, and with KubeError `Unreachable` when there is none.
 * An abort rejects with the signal's reason.
 */
export interface KubeClient {
  /** The object, or undefined when there is none. */
  get(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    signal: AbortSignal,
  ): Promise<KubeObject | undefined>;
  /** Fails with TooLarge for a page that is larger than the client reads: list-pages.ts asks for smaller ones. */
  list(type: ResourceType, options: ListOptions, signal: AbortSignal): Promise<KubeList>;
  /**
   * Changes after resourceVersion, in order, bookmarks included. Ends normally when the server closes in good order;
   * throws KubeError `Gone` (410) when the version is too old, also in the middle (an ERROR event).
   */
  watch(type: ResourceType, options: WatchOptions, signal: AbortSignal): AsyncIterable<WatchEvent>;
  /** Fails with AlreadyExists, Invalid (schema, CEL, unknown fields: strict), Forbidden. metadata.generateName is honoured. */
  create(type: ResourceType, object: KubeObject, signal: AbortSignal): Promise<KubeObject>;
  /** Replaces all but status. metadata.resourceVersion is required; a stale one fails with Conflict. */
  put(type: ResourceType, object: KubeObject, signal: AbortSignal): Promise<KubeObject>;
  /**
   * Replaces only status. metadata.resourceVersion is required; a stale one fails with Conflict. Members that the schema does not know
   * are left out where it may be older than we are (a cluster), and refused where it is our own (the embedded server).
   */
  putStatus(type: ResourceType, object: KubeObject, signal: AbortSignal): Promise<KubeObject>;
  /** Resolves also when the object is already gone. With finalizers it stays, with a deletionTimestamp, until they are removed. */
  delete(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    options: DeleteOptions,
    signal: AbortSignal,
  ): Promise<void>;
  /** The text of a pod's log. NotFound when pod or container is not known. */
  readLog(namespace: string, pod: string, options: LogOptions, signal: AbortSignal): Promise<string>;
}

export type KubeErrorCode =
  | 'NotFound'
  | 'AlreadyExists'
  | 'Conflict'
  | 'Gone'
  | 'Invalid'
  | 'BadRequest'
  | 'Forbidden'
  | 'Unauthorized'
  | 'TooManyRequests'
  /** The answer is larger than the client reads. */
  | 'TooLarge'
  | 'ServerError'
  | 'Unreachable';

export class KubeError extends Error {
  readonly code: KubeErrorCode;
  /** HTTP status, 0 when there was no answer. */
  readonly status: number;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: KubeErrorCode,
    message: string,
    options: { status?: number; retryAfterSeconds?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'KubeError';
    this.code = code;
    this.status = options.status ?? 0;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

export function isKubeError(error: unknown, code?: KubeErrorCode): error is KubeError {
  return error instanceof KubeError && (code === undefined || error.code === code);
}
