import { listLocation } from '../local/list-location.ts';
import type { LoadedObject } from '../local/loaded-object.ts';
import { ansiPaint, noPaint } from '../local/paint.ts';
import { recogniseFile } from '../local/recognise-file.ts';
import { renderListings, type NamedListing } from '../local/render-listing.ts';
import { redactor } from '../support/redaction.ts';
import type { LocalRestoreOptions } from './local-restore-options.ts';
import { asLocation, chooseLocations, describeLocationFailure, openLoadedLocation } from './loaded-locations.ts';
import { print } from './print.ts';
import type { CommandWorld } from './command-world.ts';

/**
 * `pgbackup local restore --list`: what the locations of the files hold, or the one of `--location`. Resolves with 0, or the exit code of
 * the first location that cannot be listed; the others are shown all the same.
 */
export async function listLocations(
  world: CommandWorld,
  objects: readonly LoadedObject[],
  { flags, limit, output, color }: LocalRestoreOptions,
): Promise<number> {
  const chosen = chooseLocations(objects, flags);
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
  world: CommandWorld,
  object: LoadedObject['object'],
  objects: readonly LoadedObject[],
  limit: number,
): Promise<NamedListing> {
  const { name, namespace } = object.metadata;
  const redact = redactor();
  let place = '';
  try {
    const storage = await openLoadedLocation(world, object, objects, redact);
    place = storage.name;
    try {
      return {
        location: name,
        namespace,
        place,
        listing: await listLocation(
          storage,
          limit,
          recogniseFile,
          asLocation(object).spec.signatures?.publicKeys,
          world.signal,
        ),
      };
    } finally {
      await storage.close();
    }
  } catch (error) {
    const failure = describeLocationFailure(error, object, redact);
    return { location: name, namespace, place, failure };
  }
}

function printable(one: NamedListing): object {
  const { location, namespace, place } = one;
  if (!('failure' in one)) return { location, namespace, place, ...one.listing };
  const { reason, message, hint } = one.failure;
  return { location, namespace, place, error: { reason, message, hint } };
}
