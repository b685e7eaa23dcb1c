import { KubeError, isKubeError, type KubeList, type KubeObject, type WatchEvent } from './client.ts';
import { errorOfAnswer, isKubeStatus } from './kube-answer.ts';

function readJson(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>;
  } catch (error) {
    throw new KubeError('ServerError', 'the API server answered something else than JSON', { cause: error });
  }
  throw new KubeError('ServerError', 'the API server answered something else than an object');
}

/** An object in the text of an answer; ServerError when it is something else. */
export function readObject(text: string): KubeObject {
  return cleanObject(readJson(text));
}

/** Without managedFields: half of an object's size, of no use here, and kept by the server when an update leaves them out. */
function cleanObject(
  value: Readonly<Record<string, unknown>>,
  ofList?: { apiVersion: string; kind: string },
): KubeObject {
  const { metadata } = value;
  if (typeof metadata !== 'object' || metadata === null)
    throw new KubeError('ServerError', 'an object without metadata');
  const { managedFields: _, ...kept } = metadata as Readonly<Record<string, unknown>>;
  return { ...ofList, ...value, metadata: kept } as KubeObject;
}

/** A page of a list. */
export function readList(text: string): KubeList {
  const list = readJson(text) as {
    readonly apiVersion?: string;
    readonly kind?: string;
    readonly items?: readonly Readonly<Record<string, unknown>>[] | null;
    readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  };
  const resourceVersion = list.metadata?.resourceVersion;
  if (resourceVersion === undefined || list.items === undefined) {
    throw new KubeError('ServerError', 'the API server answered something else than a list');
  }
  // Items of built-in kinds come without apiVersion and kind: the list's own says them.
  const ofList = { apiVersion: list.apiVersion ?? '', kind: (list.kind ?? '').replace(/List$/, '') };
  return {
    items: (list.items ?? []).map((item) => cleanObject(item, ofList)),
    resourceVersion,
    ...(list.metadata?.continue ? { continue: list.metadata.continue } : {}),
  };
}

/** Whose object a list begins with, from the beginning of its text: servers print names side by side, and before anything large. */
export function readFirstName(head: string): { readonly name?: string; readonly namespace?: string } {
  const found = /"name":\s*"([^"\\]+)"(?:,\s*"namespace":\s*"([^"\\]+)")?/.exec(head);
  const [, name, namespace] = found ?? [];
  return { ...(name !== undefined && { name }), ...(namespace !== undefined && { namespace }) };
}

/** One line of a watch; throws the KubeError that an ERROR event carries. */
export function readWatchEvent(line: string, nowMs: number): WatchEvent {
  const { type, object } = readJson(line);
  if (typeof object !== 'object' || object === null)
    throw new KubeError('ServerError', 'a watch event without an object');
  if (type === 'ERROR') {
    throw errorOfAnswer(0, isKubeStatus(object) ? object : undefined, JSON.stringify(object), undefined, nowMs);
  }
  const read = cleanObject(object as Readonly<Record<string, unknown>>);
  if (type === 'BOOKMARK') return { type, resourceVersion: read.metadata.resourceVersion ?? '' };
  if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') return { type, object: read };
  throw new KubeError('ServerError', `an unknown watch event ${JSON.stringify(type)}`);
}

/** A 404 that names the object is absence; any other one (unknown kind, wrong URL) must not look like it. */
export async function absentAsUndefined<T>(name: string, ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (isKubeError(error, 'NotFound') && error.message.includes(`"${name}"`)) return undefined;
    throw error;
  }
}
