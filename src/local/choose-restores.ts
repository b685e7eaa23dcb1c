import { Failure } from '../api/failure.ts';
import { findObject } from './find-object.ts';
import { listSecretNames } from './list-secret-names.ts';
import type { LoadedObject } from './loaded-object.ts';
import { makeRequest, makeScheduledRequest } from './make-request.ts';
import { listGivenFlags, type RestoreFlags } from './restore-flags.ts';

export interface RestoreChoice {
  /** Secrets, and locations only to be read. Backups are those that are found there. */
  readonly objects: readonly LoadedObject[];
  readonly requests: readonly LoadedObject[];
}

/**
 * What `pgbackup local restore` does: the one RestoreRequest of the flags or of a RestorePolicy, else those of the files. Nothing else of
 * the files runs. @throws Failure for what is missing or contradicts itself, so that it is told before anything starts
 */
export function chooseRestores(
  objects: readonly LoadedObject[],
  flags: RestoreFlags,
  env: Readonly<Record<string, string | undefined>>,
  nowMs: number,
): RestoreChoice {
  const { requests, secret } = findRequests(objects, flags, env, nowMs);
  const kept = objects.flatMap((loaded): readonly LoadedObject[] => {
    if (loaded.object.kind === 'Secret') return [loaded];
    return loaded.object.kind === 'BackupLocation' ? [readOnly(loaded)] : [];
  });
  const all = secret === undefined ? kept : [...kept, secret];
  for (const request of requests) checkReferences(request, all);
  return { objects: all, requests };
}

function findRequests(
  objects: readonly LoadedObject[],
  flags: RestoreFlags,
  env: Readonly<Record<string, string | undefined>>,
  nowMs: number,
): { readonly requests: readonly LoadedObject[]; readonly secret?: LoadedObject | undefined } {
  const given = listGivenFlags(flags);
  const { restorePolicy, namespace, requests: names } = flags;
  const exclusive = [
    ...(restorePolicy === undefined ? [] : ['--restore-policy']),
    ...(names.length === 0 ? [] : ['--request']),
    ...given.slice(0, 1),
  ];
  if (exclusive.length > 1) {
    throw new Failure('SpecInvalid', `${exclusive.join(' and ')} exclude each other`, {
      hint: 'a restore is described by flags, or by an object in a file',
    });
  }
  if (restorePolicy !== undefined) {
    return { requests: [makeScheduledRequest(restorePolicy, namespace, objects, nowMs)] };
  }
  if (given.length > 0) {
    const { request, secret } = makeRequest(flags, objects, env, nowMs);
    return { requests: [request], secret };
  }
  const all = objects.filter(
    ({ object }) =>
      object.kind === 'RestoreRequest' && (namespace === undefined || object.metadata.namespace === namespace),
  );
  if (all.length === 0) {
    throw new Failure('SpecInvalid', 'the files have no RestoreRequest, and no flags say what is restored', {
      hint: 'for example: --policy nightly --latest --target-of nightly --database shop; see --help',
    });
  }
  if (names.length === 0) return { requests: all };
  return { requests: names.map((name) => findObject(all, 'RestoreRequest', name, namespace, 'SpecInvalid')) };
}

/** A restore writes nothing there, and a key that can only read must do. */
function readOnly(loaded: LoadedObject): LoadedObject {
  const spec = { ...(loaded.object.spec as object), accessMode: 'ReadOnly' };
  return { ...loaded, object: { ...loaded.object, spec } };
}

/** @throws Failure LocationMissing, SecretMissing: nobody can create what is missing while this runs */
function checkReferences({ object: { metadata, spec } }: LoadedObject, objects: readonly LoadedObject[]): void {
  const { namespace } = metadata;
  const there = objects.filter(({ object }) => object.metadata.namespace === namespace);
  const { source } = spec as { readonly source: Readonly<Record<string, { readonly location?: string } | undefined>> };
  const named = source['file']?.location ?? source['backup']?.location ?? source['policy']?.location;
  const locations = there.filter(
    ({ object }) => object.kind === 'BackupLocation' && (named === undefined || object.metadata.name === named),
  );
  if (locations.length === 0) {
    throw new Failure('LocationMissing', `there is no location ${named ?? 'at all'} in namespace ${namespace}`, {
      hint: 'give a file with the BackupLocation too',
    });
  }
  for (const secretName of [spec, ...locations.map(({ object }) => object.spec)].flatMap(listSecretNames)) {
    findObject(there, 'Secret', secretName, namespace, 'SecretMissing');
  }
}
