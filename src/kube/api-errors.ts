import { KubeError, type ResourceType } from './client.ts';

/** As an API server names a kind in messages: `plural.group`. */
export const resourceOf = (type: ResourceType): string =>
  type.group === '' ? type.plural : `${type.plural}.${type.group}`;

export const notFound = (type: ResourceType, name: string): KubeError => {
  return new KubeError('NotFound', `${resourceOf(type)} "${name}" not found`, { status: 404 });
};

export const conflict = (type: ResourceType, name: string, why: string): KubeError => {
  return new KubeError('Conflict', `Operation cannot be fulfilled on ${resourceOf(type)} "${name}": ${why}`, {
    status: 409,
  });
};

export const invalid = (type: ResourceType, name: string | undefined, faults: readonly string[]): KubeError => {
  const kind = type.group === '' ? type.kind : `${type.kind}.${type.group}`;
  const text = faults.length === 1 ? faults[0] : `[${faults.join(', ')}]`;
  return new KubeError('Invalid', `${kind} ${JSON.stringify(name ?? '')} is invalid: ${text}`, { status: 422 });
};
