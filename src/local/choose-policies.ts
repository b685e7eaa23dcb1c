import { Failure } from '../api/failure.ts';
import type { LoadedObject } from './loaded-object.ts';

export interface Choice {
  /** What is run: without RestoreRequests, the policies that were not chosen, and Backups that name them. */
  readonly objects: readonly LoadedObject[];
  /** The policies that `--once` backs up: the chosen ones, or all that are not suspended. */
  readonly policies: readonly LoadedObject[];
  /** Restores that are not run, with why. */
  readonly leftOut: readonly string[];
}

/**
 * Chooses policies of either kind by `name` (in any namespace) or `namespace/name`; all if none is named. A RestoreRequest is never
 * run here: nothing would remember that it was, and each start would do it again. With `once`, which backs up, RestorePolicies are
 * left out too. @throws Failure PolicyMissing
 */
export function choosePolicies(objects: readonly LoadedObject[], names: readonly string[], once: boolean): Choice {
  const kinds = once ? ['BackupPolicy'] : ['BackupPolicy', 'RestorePolicy'];
  const isPolicy = ({ object }: LoadedObject): boolean => kinds.includes(object.kind);
  const all = objects.filter(isPolicy);
  const matches = ({ object: { metadata } }: LoadedObject, name: string): boolean =>
    name === metadata.name || name === `${metadata.namespace}/${metadata.name}`;
  const unknown = names.find((name) => !all.some((policy) => matches(policy, name)));
  if (unknown !== undefined) {
    const known = all.map(({ object: { metadata } }) => `${metadata.namespace}/${metadata.name}`).join(', ');
    throw new Failure('PolicyMissing', `there is no policy ${unknown} in these files`, {
      hint: known === '' ? 'they have none' : `they have ${known}`,
    });
  }
  const chosen = names.length === 0 ? all : all.filter((policy) => names.some((name) => matches(policy, name)));
  const backsUp = (namespace: string, name: string): boolean =>
    chosen.some(
      ({ object: { kind, metadata } }) =>
        kind === 'BackupPolicy' && metadata.namespace === namespace && metadata.name === name,
    );
  const kept = objects.filter((loaded) => {
    const { kind, metadata, spec } = loaded.object;
    if (kind === 'RestoreRequest') return false;
    if (kind === 'BackupPolicy' || kind === 'RestorePolicy') return chosen.includes(loaded);
    if (kind !== 'Backup' || names.length === 0) return true;
    return backsUp(metadata.namespace, (spec as { readonly policy: string }).policy);
  });
  const backedUp = chosen.filter(({ object }) => object.kind === 'BackupPolicy');
  return {
    objects: kept,
    policies: names.length === 0 ? backedUp.filter(({ object }) => !isSuspended(object)) : backedUp,
    leftOut: objects.flatMap(({ object: { kind, metadata } }) => {
      if (kind === 'RestoreRequest') return [`${kind} ${metadata.name} is not run here: use pgbackup local restore`];
      return once && kind === 'RestorePolicy' ? [`${kind} ${metadata.name} is left out: --once only backs up`] : [];
    }),
  };
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
