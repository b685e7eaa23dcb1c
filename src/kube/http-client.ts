import type { KubeConfig } from '@kubernetes/client-node';
import type { Clock } from '../support/clock.ts';
import {
  KubeError,
  isKubeError,
  type KubeClient,
  type KubeObject,
  type ResourceType,
  type WatchEvent,
  type WatchOptions,
} from './client.ts';
import { startDeadline } from './deadline.ts';
import {
  AnswerTooLarge,
  createTransport,
  unreachable,
  type Authorization,
  type ConnectionSource,
  type TransportRequest,
} from './http-transport.ts';
import { absentAsUndefined, readFirstName, readList, readObject, readWatchEvent } from './read-answer.ts';
import { requireKind } from './object-meta.ts';
import { forbidVersion, nameOf, namespaceOf, pathOf, requireVersion, requireWatchVersion } from './resource-path.ts';
import { openPodAccount, type Access } from './pod-account.ts';
import type { ServerTime } from './server-clock.ts';
import { splitLines } from './split-lines.ts';

/** Where the address of the server and the credentials come from. */
export type KubeSource =
  | { readonly kind: 'text'; readonly text: string; readonly context?: string | undefined }
  | { readonly kind: 'file'; readonly path: string; readonly context?: string | undefined }
  /** The service account of this pod; `environment` has KUBERNETES_SERVICE_HOST and _PORT, files lie below `root` (default /). */
  | {
      readonly kind: 'in-cluster';
      readonly environment: Readonly<Record<string, string | undefined>>;
      readonly root?: string;
    };

/** One finished request, for metrics. `status` 0: no answer. A watch is told when it ends. */
export interface KubeRequest {
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'put' | 'put-status' | 'delete' | 'log';
  readonly plural: string;
  readonly status: number;
  readonly seconds: number;
}

export interface HttpClientOptions {
  readonly source: KubeSource;
  readonly clock: Clock;
  readonly userAgent: string;
  /** For one request with its whole answer, milliseconds. Default 30 s. */
  readonly requestTimeoutMs?: number;
  /** A watch without a byte for this long is broken. Default: 30 s more than the time it was asked to last (or half an hour). */
  readonly watchIdleMs?: number;
  /** Default 64 MiB. */
  readonly maxAnswerBytes?: number;
  readonly onRequest?: (request: KubeRequest) => void;
  /** Told what time it is at the server, with each good answer. */
  readonly onServerTime?: (time: ServerTime) => void;
}

export interface HttpKubeClient extends KubeClient {
  /** Base URL of the API server. */
  readonly server: string;
  /** Namespace of the kubeconfig's context (in a cluster: of the pod). */
  readonly namespace: string | undefined;
  /** Closes idle connections. */
  close(): void;
}

/** A client of a real API server. Rejects with KubeError BadRequest when the configuration cannot be read or names no server. */
export async function openKubeClient(options: HttpClientOptions): Promise<HttpKubeClient> {
  const { clock, requestTimeoutMs = 30_000, maxAnswerBytes = 64 << 20, onRequest, onServerTime } = options;
  let access = await loadAccess(options.source, clock);
  const { server } = access;
  if (server === undefined)
    throw new KubeError('BadRequest', 'the kubeconfig names no cluster for its current context');
  const source: ConnectionSource = {
    server,
    authorize: () => access.authorize(),
    renew: async () => {
      access = await loadAccess(options.source, clock);
    },
  };
  const transport = createTransport({ source, clock, userAgent: options.userAgent, maxAnswerBytes, onServerTime });

  const tooLate = (): KubeError => {
    return new KubeError('Unreachable', `the API server did not answer within ${requestTimeoutMs / 1000} s`);
  };

  const tell = (verb: KubeRequest['verb'], plural: string, status: number, since: number): void =>
    onRequest?.({ verb, plural, status, seconds: (clock.monotonicMs() - since) / 1000 });

  const ask = async (verb: KubeRequest['verb'], type: string, request: TransportRequest, signal: AbortSignal) => {
    const since = clock.monotonicMs();
    const deadline = startDeadline(clock, requestTimeoutMs, signal, tooLate);
    try {
      const answer = await transport.send(request, deadline.signal);
      const text = await transport.readText(answer, deadline.signal);
      tell(verb, type, answer.status, since);
      return text;
    } catch (error) {
      tell(verb, type, isKubeError(error) ? error.status : 0, since);
      throw error;
    } finally {
      deadline.clear();
    }
  };

  const askObject = async (...args: Parameters<typeof ask>) => readObject(await ask(...args));

  const write = (verb: 'create' | 'put', type: ResourceType, object: KubeObject, signal: AbortSignal) => {
    const namespace = namespaceOf(type, object.metadata.namespace);
    const query = new URLSearchParams({ fieldValidation: 'Strict' });
    requireKind(type, object);
    if (verb === 'create') {
      forbidVersion(object.metadata.resourceVersion);
      return askObject(
        verb,
        type.plural,
        { method: 'POST', path: pathOf(type, namespace), query, body: object },
        signal,
      );
    }
    requireVersion(object.metadata.resourceVersion);
    const path = pathOf(type, namespace, nameOf(type, object.metadata.name));
    return askObject(verb, type.plural, { method: 'PUT', path, query, body: object }, signal);
  };

  async function* watch(type: ResourceType, watching: WatchOptions, signal: AbortSignal): AsyncGenerator<WatchEvent> {
    const query = listQuery(watching);
    query.set('watch', 'true');
    query.set('allowWatchBookmarks', 'true');
    query.set('resourceVersion', requireWatchVersion(watching.resourceVersion));
    if (watching.timeoutSeconds !== undefined) query.set('timeoutSeconds', String(watching.timeoutSeconds));
    const since = clock.monotonicMs();
    const idleMs = options.watchIdleMs ?? (watching.timeoutSeconds ?? 1800) * 1000 + 30_000;
    const silent = startDeadline(clock, idleMs, signal, () => {
      return new KubeError('Unreachable', `the watch was silent for ${idleMs / 1000} s`);
    });
    const opening = startDeadline(clock, requestTimeoutMs, silent.signal, tooLate);
    let status = 0;
    let close = (): void => undefined;
    try {
      const path = pathOf(type, watching.namespace);
      const answer = await transport.send({ method: 'GET', path, query }, opening.signal);
      opening.clear();
      close = () => answer.message.destroy();
      status = answer.status;
      for await (const line of splitLines(answer.message, () => silent.touch())) {
        yield readWatchEvent(line, clock.nowMs());
      }
    } catch (error) {
      opening.signal.throwIfAborted();
      if (!isKubeError(error)) throw unreachable(error, false);
      status = error.status;
      throw error;
    } finally {
      opening.clear();
      silent.clear();
      close();
      tell('watch', type.plural, status, since);
    }
  }

  return {
    server,
    namespace: access.namespace,
    close: () => transport.close(),
    watch,
    get: async (type, namespace, name, signal) => {
      const path = pathOf(type, namespaceOf(type, namespace), nameOf(type, name));
      return absentAsUndefined(name, () => askObject('get', type.plural, { method: 'GET', path }, signal));
    },
    list: async (type, listing, signal) => {
      const query = listQuery(listing);
      if (listing.fieldSelector !== undefined) query.set('fieldSelector', listing.fieldSelector);
      if (listing.limit !== undefined) query.set('limit', String(listing.limit));
      if (listing.continue !== undefined) query.set('continue', listing.continue);
      const path = pathOf(type, listing.namespace);
      try {
        return readList(await ask('list', type.plural, { method: 'GET', path, query }, signal));
      } catch (error) {
        if (!(error instanceof AnswerTooLarge) || listing.limit !== 1) throw error;
        const { name, namespace } = readFirstName(error.head);
        const which = [type.plural, namespace, name].filter((part) => part !== undefined).join('/');
        throw new KubeError('TooLarge', `${which} is too large: ${error.message}`, { cause: error });
      }
    },
    create: async (type, object, signal) => write('create', type, object, signal),
    put: async (type, object, signal) => write('put', type, object, signal),
    putStatus: async (type, object, signal) => {
      requireKind(type, object);
      requireVersion(object.metadata.resourceVersion);
      const { namespace, name } = object.metadata;
      const path = pathOf(type, namespaceOf(type, namespace), nameOf(type, name), 'status');
      // Members that the definitions do not know (yet) are left out: they may be older than we are, and the rest is to be written.
      const query = new URLSearchParams({ fieldValidation: 'Ignore' });
      return askObject('put-status', type.plural, { method: 'PUT', path, query, body: object }, signal);
    },
    delete: async (type, namespace, name, deleting, signal) => {
      const path = pathOf(type, namespaceOf(type, namespace), nameOf(type, name));
      const body = {
        kind: 'DeleteOptions',
        apiVersion: 'v1',
        propagationPolicy: deleting.propagation ?? 'Background',
        ...(deleting.uid === undefined ? {} : { preconditions: { uid: deleting.uid } }),
        ...(deleting.gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds: deleting.gracePeriodSeconds }),
      };
      await absentAsUndefined(name, () => ask('delete', type.plural, { method: 'DELETE', path, body }, signal));
    },
    readLog: async (namespace, pod, reading, signal) => {
      const query = new URLSearchParams({ container: reading.container });
      if (reading.tailLines !== undefined) query.set('tailLines', String(reading.tailLines));
      if (reading.limitBytes !== undefined) query.set('limitBytes', String(reading.limitBytes));
      const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/log`;
      try {
        return await ask('log', 'pods', { method: 'GET', path, query }, signal);
      } catch (error) {
        // A pod without that container is answered 400, with this sentence as the only sign.
        if (!isKubeError(error, 'BadRequest') || !/^container \S+ is not valid for pod/.test(error.message))
          throw error;
        throw new KubeError('NotFound', error.message, { status: 404, cause: error });
      }
    },
  };
}

async function loadAccess(source: KubeSource, clock: Clock): Promise<Access> {
  try {
    if (source.kind === 'in-cluster') return await openPodAccount(source.environment, source.root ?? '', clock);
    return await loadKubeconfig(source);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new KubeError('BadRequest', `the Kubernetes configuration cannot be read: ${why}`, { cause: error });
  }
}

async function loadKubeconfig(source: Exclude<KubeSource, { readonly kind: 'in-cluster' }>): Promise<Access> {
  // Imported when a kubeconfig is really read: it costs 90 MB and half a second.
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  if (source.kind === 'file') config.loadFromFile(source.path);
  else config.loadFromString(source.text);
  if (source.context !== undefined) config.setCurrentContext(source.context);
  return {
    server: config.getCurrentCluster()?.server,
    namespace: config.getContextObject(config.currentContext)?.namespace,
    authorize: () => authorize(config),
  };
}

async function authorize(config: KubeConfig): Promise<Authorization> {
  const options: Authorization = { headers: {} };
  await config.applyToHTTPSOptions(options);
  const user = config.getCurrentUser();
  if (user?.impersonateUser) options.headers['Impersonate-User'] = user.impersonateUser;
  // Its agents are kept by name and never see a renewed certificate; only a proxy's is worth having.
  if (!config.getCurrentCluster()?.proxyUrl) delete options.agent;
  return options;
}

function listQuery(options: { readonly labelSelector?: string }): URLSearchParams {
  return new URLSearchParams(options.labelSelector === undefined ? {} : { labelSelector: options.labelSelector });
}
