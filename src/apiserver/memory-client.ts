import { isDeepStrictEqual } from 'node:util';
import type { Clock, Random } from '../support/clock.ts';
import { KubeError, type KubeClient, type KubeObject, type ObjectMeta, type ResourceType } from '../kube/client.ts';
import { parseFieldSelector } from './field-selector.ts';
import { parseLabelSelector } from './label-selector.ts';
import { MemoryStore, type MemoryStoreOptions } from './memory-store.ts';
import type { MemoryType } from './memory-type.ts';
import { dropEmpty, findMetadataFaults, requireKind, withMeta } from '../kube/object-meta.ts';
import { createDeletion } from './memory-deletion.ts';
import { conflict, invalid, notFound, resourceOf } from '../kube/api-errors.ts';
import { freezeCopy, omit, pick } from '../kube/plain-json.ts';
import { forbidVersion, nameOf, namespaceOf, requireVersion } from '../kube/resource-path.ts';

/** What the server alone writes. */
const systemMembers = [
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
] as const satisfies readonly (keyof ObjectMeta)[];

export interface MemoryClientOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly types: readonly MemoryType[];
  /** Default: a random UUID. */
  readonly uidFor?: (type: ResourceType, namespace: string | undefined, name: string) => string;
  /** Without it, no pod has a log. */
  readonly readLog?: KubeClient['readLog'];
  /** Changes that are remembered per kind, for watches from an older version. Default 10 000. */
  readonly historyLimit?: number;
}

export interface MemoryClient extends KubeClient {
  /** Forgets the history: watches from older versions, and continuations of lists, fail with Gone. */
  trimHistory(): void;
}

const maxObjectBytes = 1_500_000;

/**
 * A Kubernetes API server's objects within this process: versions, generations, finalizers, owners, watches, status subresources.
 * Not modelled: namespaces as objects, access rights, patch, garbage collection at a later time (here it is done with the deletion).
 */
export function createMemoryClient(options: MemoryClientOptions): MemoryClient {
  const { clock, random } = options;
  const store = new MemoryStore(options satisfies MemoryStoreOptions);
  const continuations = new Map<string, { readonly items: readonly KubeObject[]; readonly version: string }>();

  const stamp = (): string => `${new Date(clock.nowMs()).toISOString().slice(0, 19)}Z`;
  const deletion = createDeletion(store, stamp);

  const accept = (known: MemoryType, object: KubeObject, old: KubeObject | undefined): KubeObject => {
    const faults = [...findMetadataFaults(object.metadata)];
    let accepted = object;
    const judged = known.validate?.(object, old);
    if (judged && 'errors' in judged) faults.push(...judged.errors);
    else if (judged) accepted = freezeCopy({ ...judged.object, metadata: object.metadata });
    if (faults.length > 0) throw invalid(known.type, object.metadata.name, faults);
    const bytes = Buffer.byteLength(JSON.stringify(accepted));
    if (bytes > maxObjectBytes) {
      throw new KubeError('BadRequest', `the object of ${bytes} bytes is too large: limit is ${maxObjectBytes}`, {
        status: 413,
      });
    }
    return accepted;
  };

  const stored = (type: ResourceType, object: KubeObject): KubeObject => {
    const version = requireVersion(object.metadata.resourceVersion);
    const namespace = namespaceOf(type, object.metadata.namespace);
    const name = nameOf(type, object.metadata.name);
    const old = store.get(type, namespace, name);
    if (!old) throw notFound(type, name);
    if (object.metadata.uid !== undefined && object.metadata.uid !== old.metadata.uid) {
      throw conflict(type, name, `the uid is ${old.metadata.uid}, not ${object.metadata.uid}`);
    }
    if (version !== old.metadata.resourceVersion) {
      throw conflict(
        type,
        name,
        'the object has been modified; please apply your changes to the latest version and try again',
      );
    }
    return old;
  };

  const checkSent = (type: ResourceType, object: KubeObject): MemoryType => {
    const known = store.known(type);
    requireKind(type, object);
    return known;
  };

  const pickName = (type: ResourceType, namespace: string | undefined, meta: ObjectMeta): string => {
    if (meta.name !== undefined && meta.name !== '') return meta.name;
    if (!meta.generateName)
      throw invalid(type, undefined, ['metadata.name: Required value: name or generateName is required']);
    for (;;) {
      const letters = 'bcdfghjklmnpqrstvwxz2456789';
      const suffix = Array.from({ length: 5 }, () => letters[Math.floor(random.fraction() * letters.length)]).join('');
      const name = `${meta.generateName.slice(0, 58)}${suffix}`;
      if (!store.get(type, namespace, name)) return name;
    }
  };

  const create = (type: ResourceType, sent: KubeObject): KubeObject => {
    const known = checkSent(type, sent);
    const { metadata: sentMeta, ...rest } = freezeCopy(sent);
    const metadata = dropEmpty(sentMeta);
    forbidVersion(metadata.resourceVersion);
    const namespace = namespaceOf(type, metadata.namespace);
    const name = pickName(type, namespace, metadata);
    const created: KubeObject = {
      ...(known.statusSubresource ? omit(rest, 'status') : rest),
      apiVersion: sent.apiVersion,
      kind: sent.kind,
      metadata: {
        ...omit(metadata, ...systemMembers),
        name,
        ...(namespace === undefined ? {} : { namespace }),
        uid: options.uidFor?.(type, namespace, name) ?? randomUid(random),
        creationTimestamp: stamp(),
        ...(known.statusSubresource ? { generation: 1 } : {}),
      },
    };
    const accepted = accept(known, freezeCopy(created), undefined);
    if (store.get(type, namespace, name)) {
      throw new KubeError('AlreadyExists', `${resourceOf(type)} "${name}" already exists`, { status: 409 });
    }
    const written = store.write(type, undefined, accepted);
    // As the garbage collector would, a little later: its owner went between looking and creating.
    if (store.isAbandoned(written)) deletion.remove(type, written);
    return written;
  };

  const put = (type: ResourceType, sent: KubeObject): KubeObject => {
    const known = checkSent(type, sent);
    const old = stored(type, sent);
    const { metadata: sentMeta, ...rest } = freezeCopy(sent);
    const metadata = dropEmpty(sentMeta);
    const body: KubeObject = {
      ...(known.statusSubresource
        ? { ...omit(rest, 'status'), ...('status' in old ? { status: old.status } : {}) }
        : rest),
      apiVersion: sent.apiVersion,
      kind: sent.kind,
      metadata: { ...omit(metadata, ...systemMembers), ...pick(old.metadata, ...systemMembers) },
    };
    const accepted = accept(known, freezeCopy(body), old);
    const added = (accepted.metadata.finalizers ?? []).filter((name) => !old.metadata.finalizers?.includes(name));
    if (old.metadata.deletionTimestamp !== undefined && added.length > 0) {
      const fault = 'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted';
      throw invalid(type, old.metadata.name, [`${fault}, found new finalizers ${JSON.stringify(added)}`]);
    }
    const changed = known.statusSubresource && !isDeepStrictEqual(contentOf(accepted), contentOf(old));
    const next = changed ? withMeta(accepted, { generation: (old.metadata.generation ?? 0) + 1 }) : accepted;
    return deletion.settle(type, old, next);
  };

  const putStatus = (type: ResourceType, sent: KubeObject): KubeObject => {
    const known = checkSent(type, sent);
    if (!known.statusSubresource) throw notFound(type, sent.metadata.name ?? '');
    const old = stored(type, sent);
    const { status: _, ...rest } = old;
    const next = { ...rest, ...(sent.status === undefined ? {} : { status: sent.status }) } as KubeObject;
    return deletion.settle(type, old, accept(known, freezeCopy(next), old));
  };

  return {
    get: async (type, namespace, name, signal) => {
      signal.throwIfAborted();
      return store.get(type, namespaceOf(type, namespace), nameOf(type, name));
    },
    list: async (type, listing, signal) => {
      signal.throwIfAborted();
      const selects = parseLabelSelector(listing.labelSelector);
      const selectsToo = parseFieldSelector(listing.fieldSelector);
      const token = listing.continue;
      const resumed = token === undefined ? undefined : continuations.get(token);
      if (token !== undefined && !resumed) {
        throw new KubeError('Gone', 'the provided continue parameter is too old', { status: 410 });
      }
      const all =
        resumed?.items ?? store.list(type, listing.namespace).filter((each) => selects(each) && selectsToo(each));
      const version = resumed?.version ?? String(store.version);
      const limit = listing.limit ?? 0;
      if (limit <= 0 || all.length <= limit) return { items: all, resourceVersion: version };
      const next = `${version}.${Buffer.from(random.bytes(12)).toString('hex')}`;
      continuations.set(next, { items: all.slice(limit), version });
      // Readers that gave up leave theirs behind.
      const [oldest] = continuations.keys();
      if (continuations.size > 100 && oldest !== undefined) continuations.delete(oldest);
      return { items: all.slice(0, limit), resourceVersion: version, continue: next };
    },
    watch: (type, watching, signal) => store.watch(type, watching, signal),
    create: async (type, object, signal) => {
      signal.throwIfAborted();
      return create(type, object);
    },
    put: async (type, object, signal) => {
      signal.throwIfAborted();
      return put(type, object);
    },
    putStatus: async (type, object, signal) => {
      signal.throwIfAborted();
      return putStatus(type, object);
    },
    delete: async (type, namespace, name, deleting, signal) => {
      signal.throwIfAborted();
      const old = store.get(type, namespaceOf(type, namespace), nameOf(type, name));
      if (!old) return;
      if (deleting.uid !== undefined && deleting.uid !== old.metadata.uid) {
        throw conflict(
          type,
          name,
          `Precondition failed: UID in precondition: ${deleting.uid}, UID in object: ${old.metadata.uid}`,
        );
      }
      deletion.startDeletion(type, old, deleting.propagation ?? 'Background');
    },
    readLog: async (namespace, pod, reading, signal) => {
      signal.throwIfAborted();
      if (options.readLog) return options.readLog(namespace, pod, reading, signal);
      throw new KubeError('NotFound', `pods "${pod}" not found`, { status: 404 });
    },
    trimHistory: () => {
      continuations.clear();
      store.trim();
    },
  };
}

/** All that counts for the generation. */
const contentOf = (object: KubeObject): unknown => omit(object, 'metadata', 'status');

function randomUid(random: Random): string {
  const bytes = Buffer.from(random.bytes(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
