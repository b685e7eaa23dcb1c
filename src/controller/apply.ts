import { finalizer } from '../api/kinds.ts';
import { sameValue } from '../domain/same-value.ts';
import { isKubeError, type KubeClient, type KubeError, type KubeObject } from '../kube/client.ts';
import type { EventRecorder } from '../kube/events.ts';
import type { Action, CreateAction, ExpectNoneAction, FinalizerAction, ObjectSeen, Ours } from './action.ts';
import type { World } from './world/world.ts';

export interface Writer {
  readonly client: KubeClient;
  readonly events: Pick<EventRecorder, 'record'>;
  readonly world: World;
  /** Awaited before a status that comes after a creation: others may have something to create, and a status can wait. */
  readonly giveWay?: (() => Promise<void>) | undefined;
}

/** `again`: somebody else was faster, or a name is taken; the rest was not done, and the next look sees why. */
export type Applied = 'done' | 'again';

/** Performs actions in order, and is the only one who writes. Rejects with KubeError when the server refuses or does not answer. */
export async function applyActions(writer: Writer, actions: readonly Action[], signal: AbortSignal): Promise<Applied> {
  const creations = actions.filter((action) => action.type === 'create');
  for (const { resource, object } of creations) writer.world.intend(resource, object);
  try {
    for (const [index, action] of actions.entries()) {
      const created = index > 0 && actions[index - 1]?.type === 'create';
      if (created && action.type === 'set-status') await writer.giveWay?.();
      const done = await perform(writer, action, signal);
      if (!done) return 'again';
    }
    return 'done';
  } finally {
    // Those that were made are known as the server answered them; what is left here was not made.
    for (const { resource, object } of creations) writer.world.forget(resource, object);
  }
}

async function perform(writer: Writer, action: Action, signal: AbortSignal): Promise<boolean> {
  switch (action.type) {
    case 'create':
      return create(writer, action, signal);
    case 'expect-none':
      return isNone(writer, action, signal);
    case 'delete': {
      const { resource, namespace, name, uid, propagation } = action;
      return unlessConflict(() => writer.client.delete(resource, namespace, name, { uid, propagation }, signal));
    }
    case 'set-status': {
      const { resource, object, status } = action;
      return unlessConflict(async () => {
        const written = await writer.client.putStatus(resource, withStatus(object, status), signal);
        writer.world.note(resource, written);
      });
    }
    case 'hold':
    case 'release':
      return setFinalizer(writer, action, signal);
    case 'tell':
      break;
  }
  const { about, level, reason, message } = action;
  writer.events.record({ object: asKubeObject(about), type: level, reason, message });
  return true;
}

async function isNone(writer: Writer, action: ExpectNoneAction, signal: AbortSignal): Promise<boolean> {
  const { resource, namespace, names } = action;
  let isNothingThere = true;
  for (const name of names) {
    const existing = await writer.client.get(resource, namespace, name, signal);
    if (existing === undefined) continue;
    writer.world.note(resource, existing);
    isNothingThere = false;
  }
  return isNothingThere;
}

async function create(writer: Writer, action: CreateAction, signal: AbortSignal): Promise<boolean> {
  const { resource, object, ours, status } = action;
  const { namespace, name } = object.metadata;
  let made: KubeObject | undefined;
  try {
    made = await writer.client.create(resource, object, signal);
  } catch (error) {
    if (isRefusal(error)) writer.world.noteRefusal(resource, namespace, name, error.message);
    if (!isKubeError(error, 'AlreadyExists')) throw error;
    const existing = await writer.client.get(resource, namespace, name, signal);
    if (existing !== undefined) writer.world.note(resource, existing);
    // Gone again, or somebody else's: the next look sees which.
    return existing !== undefined && isOurs(existing, ours);
  }
  writer.world.clearRefusal(resource, namespace, name);
  writer.world.note(resource, made);
  if (status === undefined) return true;
  const fresh = made;
  return unlessConflict(async () => {
    const written = await writer.client.putStatus(resource, { ...fresh, status }, signal);
    writer.world.note(resource, written);
  });
}

/** The server understood and does not want to: quota, admission, schema. */
function isRefusal(error: unknown): error is KubeError {
  return isKubeError(error) && (error.code === 'Forbidden' || error.code === 'Invalid' || error.code === 'BadRequest');
}

function isOurs({ metadata, spec }: KubeObject, ours: Ours): boolean {
  if (ours === 'never') return false;
  if ('controllerUid' in ours) {
    return (
      metadata.ownerReferences?.some((owner) => owner.controller === true && owner.uid === ours.controllerUid) ?? false
    );
  }
  const members = (spec ?? {}) as Readonly<Record<string, unknown>>;
  return Object.entries(ours.specMembers).every(([member, value]) => sameValue(members[member], value));
}

async function setFinalizer(writer: Writer, action: FinalizerAction, signal: AbortSignal): Promise<boolean> {
  const { resource, object } = action;
  const { namespace, name, uid, resourceVersion } = object.metadata;
  const current = await writer.client.get(resource, namespace, name, signal);
  if (current === undefined || current.metadata.uid !== uid) return action.type === 'release';
  const others = (current.metadata.finalizers ?? []).filter((each) => each !== finalizer);
  const finalizers = action.type === 'hold' ? [...others, finalizer] : others;
  if (sameValue(finalizers, current.metadata.finalizers ?? [])) return true;
  return unlessConflict(async () => {
    const written = await writer.client.put(
      resource,
      { ...current, metadata: { ...current.metadata, resourceVersion, finalizers } },
      signal,
    );
    writer.world.note(resource, written);
  });
}

/** False when the object is not as it was seen. */
async function unlessConflict(write: () => Promise<void>): Promise<boolean> {
  try {
    await write();
    return true;
  } catch (error) {
    if (isKubeError(error, 'Conflict') || isKubeError(error, 'NotFound')) return false;
    throw error;
  }
}

function withStatus({ apiVersion, kind, metadata, spec }: ObjectSeen, status: unknown): KubeObject {
  const { name, namespace, uid, resourceVersion } = metadata;
  return { apiVersion, kind, metadata: { name, namespace, uid, resourceVersion }, spec, status };
}

function asKubeObject({ apiVersion, kind, metadata }: ObjectSeen): KubeObject {
  return { apiVersion, kind, metadata };
}
