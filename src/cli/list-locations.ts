import { Failure, toFailure } from '../api/failure.ts';
import { placeKindOf, remedyFor } from '../api/remedies.ts';
import type { BackupLocation } from '../api/kinds.ts';
import { nameClaims, taskLocation } from '../controller/backup/task.ts';
import { findObject } from '../local/find-object.ts';
import { listLocation } from '../local/list-location.ts';
import type { LoadedObject } from '../local/loaded-object.ts';
import { openObjectSecrets } from '../local/object-secrets.ts';
import { ansiPaint, noPaint } from '../local/paint.ts';
import { recogniseFile } from '../local/recognise-file.ts';
import { renderListings, type NamedListing } from '../local/render-listing.ts';
import { findPlace } from '../runner/open-location.ts';
import { limitStorage } from '../storage/limit.ts';
import { openStorage } from '../storage/open.ts';
import { redactor } from '../support/redaction.ts';
import type { LocalRestoreOptions } from './local-restore-options.ts';
import { print } from './print.ts';
import { readProxy } from './read-proxy.ts';
import type { CommandWorld } from './command-world.ts';

/** A place that does not answer is told with the others. */
const answerMilliseconds = 30_000;
const tidyMilliseconds = 2_000;

/**
 * `pgbackup local restore --list`: what the locations of the files hold, or the one of `--location`. Resolves with 0, or the exit code of
 * the first location that cannot be listed; the others are shown all the same.
 */
export async function listLocations(
  world: CommandWorld,
  objects: readonly LoadedObject[],
  { flags, limit, output, color }: LocalRestoreOptions,
): Promise<number> {
  const { location, namespace } = flags;
  const chosen =
    location === undefined
      ? objects.filter(
          ({ object: { kind, metadata } }) =>
            kind === 'BackupLocation' && (namespace ?? metadata.namespace) === metadata.namespace,
        )
      : [findObject(objects, 'BackupLocation', location, namespace, 'LocationMissing')];
  if (chosen.length === 0) {
    throw new Failure('LocationMissing', 'the files have no BackupLocation', { hint: 'give a file with one' });
  }
  const listings = await Promise.all(chosen.map(async ({ object }) => listOne(world, object, objects, limit)));
  world.signal.throwIfAborted();
  const colours = color && (world.env['NO_COLOR'] ?? '') === '' && world.stdout.isTTY === true;
  const text =
    output === 'json'
      ? JSON.stringify({ locations: listings.map(printable) }, undefined, 2)
      : renderListings(listings, colours ? ansiPaint : noPaint).join('\n');
  const printed = await print(`${text}\n`, world);
  return listings.flatMap((one) => ('failure' in one ? [one.failure.exitCode] : []))[0] ?? printed;
}

async function listOne(
  { clock, random, env, signal }: CommandWorld,
  object: LoadedObject['object'],
  objects: readonly LoadedObject[],
  limit: number,
): Promise<NamedListing> {
  const { name, namespace } = object.metadata;
  const redact = redactor();
  const secrets = openObjectSecrets(objects, namespace, redact);
  const given = object as unknown as BackupLocation;
  let place = '';
  try {
    const found = await findPlace(taskLocation(given, nameClaims([given], false)), '/', secrets, signal);
    const storage = limitStorage(
      await openStorage(found.place, found.credentials, { clock, random, proxy: readProxy(env, redact) }),
      {
        answerMs: answerMilliseconds,
        stallMs: answerMilliseconds,
        tidyMs: tidyMilliseconds,
        clock,
      },
    );
    place = storage.name;
    try {
      return { location: name, namespace, place, listing: await listLocation(storage, limit, recogniseFile, signal) };
    } finally {
      await storage.close();
    }
  } catch (error) {
    const { reason, message, hint } = toFailure(error);
    const failure = new Failure(reason, redact.text(message), {
      hint: hint ?? remedyFor(reason, placeKindOf(given.spec)),
      cause: error,
    });
    return { location: name, namespace, place, failure };
  }
}

function printable(one: NamedListing): object {
  const { location, namespace, place } = one;
  if (!('failure' in one)) return { location, namespace, place, ...one.listing };
  const { reason, message, hint } = one.failure;
  return { location, namespace, place, error: { reason, message, hint } };
}
