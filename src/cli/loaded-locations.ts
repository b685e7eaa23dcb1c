import { Failure, toFailure } from '../api/failure.ts';
import type { BackupLocation } from '../api/kinds.ts';
import { placeKindOf, remedyFor } from '../api/remedies.ts';
import { nameClaims, taskLocation } from '../controller/backup/task.ts';
import { findObject } from '../local/find-object.ts';
import type { LoadedObject } from '../local/loaded-object.ts';
import { openObjectSecrets } from '../local/object-secrets.ts';
import { findPlace } from '../runner/open-location.ts';
import { limitStorage } from '../storage/limit.ts';
import { openStorage } from '../storage/open.ts';
import type { Storage } from '../storage/storage.ts';
import type { Redactor } from '../support/redaction.ts';
import type { CommandWorld } from './command-world.ts';
import { readProxy } from './read-proxy.ts';

/** A place that does not answer is told with the others. */
const answerMilliseconds = 30_000;
const tidyMilliseconds = 2_000;

/** The locations of the files, or the one of that name. @throws Failure LocationMissing, SpecInvalid */
export function chooseLocations(
  objects: readonly LoadedObject[],
  { location, namespace }: { readonly location: string | undefined; readonly namespace: string | undefined },
): readonly LoadedObject[] {
  const chosen =
    location === undefined
      ? objects.filter(
          ({ object: { kind, metadata } }) =>
            kind === 'BackupLocation' && (namespace ?? metadata.namespace) === metadata.namespace,
        )
      : [findObject(objects, 'BackupLocation', location, namespace, 'LocationMissing')];
  if (chosen.length > 0) return chosen;
  throw new Failure('LocationMissing', 'the files have no BackupLocation', { hint: 'give a file with one' });
}

/** Opens a location with the Secrets of the files. @throws Failure SecretMissing, SecretInvalid and those of the driver */
export async function openLoadedLocation(
  { clock, random, env, signal }: CommandWorld,
  object: LoadedObject['object'],
  objects: readonly LoadedObject[],
  redact: Redactor,
): Promise<Storage> {
  const secrets = openObjectSecrets(objects, object.metadata.namespace, redact);
  const given = asLocation(object);
  const found = await findPlace(taskLocation(given, nameClaims([given], false)), '/', secrets, signal);
  return limitStorage(
    await openStorage(found.place, found.credentials, { clock, random, proxy: readProxy(env, redact) }),
    { answerMs: answerMilliseconds, stallMs: answerMilliseconds, tidyMs: tidyMilliseconds, clock },
  );
}

/** For people: with the remedy for this kind of place, and without secrets. */
export function describeLocationFailure(error: unknown, object: LoadedObject['object'], redact: Redactor): Failure {
  const { reason, message, hint } = toFailure(error);
  return new Failure(reason, redact.text(message), {
    hint: hint ?? remedyFor(reason, placeKindOf(asLocation(object).spec)),
    cause: error,
  });
}

/** It was validated when it was loaded. */
export const asLocation = (object: LoadedObject['object']): BackupLocation => object as unknown as BackupLocation;
