import { Failure } from '../api/failure.ts';
import type { FailureReason } from '../api/reasons.ts';
import type { LoadedObject } from './loaded-object.ts';

const words: Readonly<Record<string, string>> = {
  BackupLocation: 'location',
  BackupPolicy: 'policy',
  RestorePolicy: 'restore policy',
  RestoreRequest: 'RestoreRequest',
};

/** The object of these files with that name, in that namespace or the only one. @throws Failure with the reason, naming what there is */
export function findObject(
  objects: readonly LoadedObject[],
  kind: string,
  name: string,
  namespace: string | undefined,
  reason: FailureReason,
): LoadedObject {
  const found = objects.filter(({ object }) => object.kind === kind && object.metadata.name === name);
  const matching =
    namespace === undefined ? found : found.filter(({ object }) => object.metadata.namespace === namespace);
  const [only] = matching;
  const word = words[kind] ?? kind;
  if (only === undefined) {
    const known = namesOf(objects, kind, namespace);
    const where = namespace === undefined ? '' : ` in namespace ${namespace}`;
    throw new Failure(reason, `there is no ${word} ${name} in these files${where}`, {
      hint: known.length === 0 ? `they have none${where}` : `they have ${known.join(', ')}`,
    });
  }
  if (matching.length > 1) {
    const namespaces = matching.map(({ object }) => object.metadata.namespace).join(', ');
    throw new Failure('SpecInvalid', `there are several of ${word} ${name}: in ${namespaces}`, {
      hint: 'choose with --namespace',
    });
  }
  return only;
}

/** Names of one kind, in one namespace or all. */
export function namesOf(objects: readonly LoadedObject[], kind: string, namespace?: string): readonly string[] {
  return objects
    .filter(
      ({ object }) => object.kind === kind && (namespace ?? object.metadata.namespace) === object.metadata.namespace,
    )
    .map(({ object }) => object.metadata.name)
    .sort();
}

/** The namespace that all objects share. @throws Failure SpecInvalid when there are several */
export function findOnlyNamespace(objects: readonly LoadedObject[]): string {
  const namespaces = [...new Set(objects.map(({ object }) => object.metadata.namespace))].sort();
  if (namespaces.length > 1) {
    throw new Failure('SpecInvalid', `the files have several namespaces: ${namespaces.join(', ')}`, {
      hint: 'choose one with --namespace',
    });
  }
  return namespaces[0] ?? 'default';
}
