import { KubeError, type ResourceType } from './client.ts';

/** The path of a collection (`name` absent) or of an object. `namespace` undefined: all namespaces, or a kind that knows none. */
export function pathOf(type: ResourceType, namespace: string | undefined, name?: string, subresource?: string): string {
  const root = type.group === '' ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  const segments = [type.plural];
  if (type.namespaced && namespace !== undefined) segments.unshift('namespaces', namespace);
  if (name !== undefined) segments.push(name);
  if (subresource !== undefined) segments.push(subresource);
  return `${root}/${segments.map(encodeURIComponent).join('/')}`;
}

/** `group/version`, or `version` for the core group. */
export function apiVersionOf(type: ResourceType): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`;
}

/** The namespace under which an object of this kind is addressed; BadRequest when it is needed and missing. */
export function namespaceOf(type: ResourceType, namespace: string | undefined): string | undefined {
  if (!type.namespaced) return undefined;
  if (namespace === undefined || namespace === '') {
    throw new KubeError('BadRequest', `a namespace is required for ${type.plural}`, { status: 400 });
  }
  return namespace;
}

/** BadRequest when an object's name is missing: an empty name would address the collection. */
export function nameOf(type: ResourceType, name: string | undefined): string {
  if (name === undefined || name === '') {
    throw new KubeError('BadRequest', `a name is required for ${type.plural}`, { status: 400 });
  }
  return name;
}

/** Updates without a version would overwrite what nobody looked at: some kinds of a real server allow that, we never do. */
export function requireVersion(resourceVersion: string | undefined): string {
  if (resourceVersion === undefined || resourceVersion === '') {
    throw new KubeError('Invalid', 'metadata.resourceVersion: must be specified for an update', { status: 422 });
  }
  return resourceVersion;
}

/** A watch from nowhere ('' or '0') would begin at any state a server likes: events would be lost or repeated. */
export function requireWatchVersion(resourceVersion: string): string {
  if (!/^[1-9]\d*$/.test(resourceVersion)) {
    const given = JSON.stringify(resourceVersion);
    throw new KubeError('BadRequest', `a watch needs the resourceVersion of a list, not ${given}`, { status: 400 });
  }
  return resourceVersion;
}

/** An object that was read is no object to create: a real server answers 500 for it, which would look transient. */
export function forbidVersion(resourceVersion: string | undefined): void {
  if (!resourceVersion) return;
  throw new KubeError('BadRequest', 'resourceVersion should not be set on objects to be created', { status: 400 });
}
