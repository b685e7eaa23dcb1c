import { Failure } from '../api/failure.ts';
import type { LoadedObject } from './load.ts';

export interface Choice {
  /** What is run: all objects, without the policies that were not chosen and Backups that name them. */
  readonly objects: readonly LoadedObject[];
  /** The policies that `--once` backs up: the chosen ones, or all that are not suspended. */
  readonly policies: readonly LoadedObject[];
}

/**
 * Chooses policies by `name` (in any namespace) or `namespace/name`; all if none is named. @throws Failure PolicyMissing
 */
export function choosePolicies(objects: readonly LoadedObject[], names: readonly string[]): Choice {
  const all = objects.filter(({ object }) => object.kind === 'BackupPolicy');
  const matches = ({ object: { metadata } }: LoadedObject, name: string): boolean =>
    name === metadata.name || name === `${metadata.namespace}/${metadata.name}`;
  const unknown = names.find((name) => !all.some((policy) => matches(policy, name)));
  if (unknown !== undefined) {
    const known = all.map(({ object: { metadata } }) => `${metadata.namespace}/${metadata.name}`).join(', ');
    throw new Failure('PolicyMissing', `there is no policy ${unknown} in these files`, {
      hint: known === '' ? 'they have none' : `they have ${known}`,
    });
  }
  if (names.length === 0) return { objects, policies: all.filter(({ object }) => !isSuspended(object)) };
  const chosen = all.filter((policy) => names.some((name) => matches(policy, name)));
  const isChosen = (namespace: string, name: string): boolean =>
    chosen.some(({ object: { metadata } }) => metadata.namespace === namespace && metadata.name === name);
  const kept = objects.filter(({ object: { kind, metadata, spec } }) => {
    if (kind === 'BackupPolicy') return isChosen(metadata.namespace, metadata.name);
    return kind !== 'Backup' || isChosen(metadata.namespace, (spec as { readonly policy: string }).policy);
  });
  return { objects: kept, policies: chosen };
}

/** Policies that run only when asked: `--once` is one run now, whatever the clock says. */
export function withoutSchedules(objects: readonly LoadedObject[]): readonly LoadedObject[] {
  return objects.map((loaded) => {
    if (loaded.object.kind !== 'BackupPolicy') return loaded;
    const { schedule: _, ...spec } = loaded.object.spec as Readonly<Record<string, unknown>>;
    return { ...loaded, object: { ...loaded.object, spec } };
  });
}

const isSuspended = ({ spec }: LoadedObject['object']): boolean =>
  (spec as { readonly suspend?: boolean } | undefined)?.suspend === true;
