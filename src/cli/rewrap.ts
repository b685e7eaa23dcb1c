import { Failure } from '../api/failure.ts';
import { parseManifestKey } from '../domain/layout.ts';
import { rewrapBackup, type Rewrapped, type RewrapWanted } from '../local/rewrap-backup.ts';
import type { LoadedObject } from '../local/loaded-object.ts';
import type { Storage } from '../storage/storage.ts';
import { redactor } from '../support/redaction.ts';
import type { CommandWorld } from './command-world.ts';
import { asLocation, chooseLocations, describeLocationFailure, openLoadedLocation } from './loaded-locations.ts';
import { loadFiles } from './prepare-local.ts';
import { print } from './print.ts';
import { readIdentities, type IdentityOptions } from './read-identities.ts';
import { readRecipients, type RecipientOptions } from './read-recipients.ts';

export interface RewrapOptions extends IdentityOptions, RecipientOptions {
  /** All of the files if absent. */
  readonly location: string | undefined;
  /** Of the objects, and of the backups; that of the location if absent. */
  readonly namespace: string | undefined;
  /** At least one of both. */
  readonly policy: string | undefined;
  readonly backup: string | undefined;
  readonly dryRun: boolean;
}

/**
 * Wraps the keys of stored backups for other recipients, one backup after the other; resolves with 0, or the exit code of the first failure.
 * What was done stays done, and is passed over the next time (but for passphrases, whose names do not tell them).
 * @throws Failure RecipientInvalid, IdentityInvalid, SpecInvalid, LocationMissing
 */
export async function rewrap(world: CommandWorld, paths: readonly string[], options: RewrapOptions): Promise<number> {
  const objects = await loadFiles(world, paths);
  const locations = chooseLocations(objects, options);
  const wanted: RewrapWanted = {
    identities: await readIdentities(world, options),
    recipients: await readRecipients(world, options),
    dryRun: options.dryRun,
    random: (bytes) => world.random.bytes(bytes),
  };
  const failures: Failure[] = [];
  let count = 0;
  for (const { object } of locations) {
    const redact = redactor();
    const fail = (what: string, error: unknown): void => {
      world.signal.throwIfAborted();
      const failure = describeLocationFailure(error, object, redact);
      failures.push(failure);
      const hint = failure.hint === undefined ? '' : ` (${failure.hint})`;
      world.stderr.write(`${what}: ${failure.reason}: ${failure.message}${hint}\n`);
    };
    const { name, namespace } = object.metadata;
    try {
      requireWritable(object);
      const storage = await openLoadedLocation(world, object, objects, redact);
      try {
        for await (const key of listManifests(storage, options.namespace ?? namespace, options, world.signal)) {
          count += 1;
          const what = `${name} ${key.replace(/\/manifest\.json$/, '')}`;
          try {
            const done = await rewrapBackup(storage, key, wanted, world.signal);
            await print(`${what}: ${describe(done)}\n`, world);
          } catch (error) {
            fail(what, error);
          }
        }
      } finally {
        await storage.close();
      }
    } catch (error) {
      fail(name, error);
    }
  }
  if (failures[0] !== undefined) return failures[0].exitCode;
  if (count === 0) throw new Failure('BackupMissing', 'the locations hold no such backup');
  return 0;
}

function requireWritable(object: LoadedObject['object']): void {
  const { accessMode } = asLocation(object).spec;
  if (accessMode === 'ReadOnly')
    throw new Failure('LocationReadOnly', 'nothing is written to a location with accessMode ReadOnly');
  if (accessMode === 'AppendOnly')
    throw new Failure('StorageDenied', 'nothing is written over at a location with accessMode AppendOnly', {
      hint: 'give files in which it is ReadWrite, with credentials that may write over what is there',
    });
}

async function* listManifests(
  storage: Storage,
  namespace: string,
  { policy, backup }: Pick<RewrapOptions, 'policy' | 'backup'>,
  signal: AbortSignal,
): AsyncGenerator<string, void, void> {
  const prefix = policy === undefined ? `${namespace}/` : `${namespace}/${policy}/`;
  for await (const { key } of storage.list(prefix, undefined, signal)) {
    const found = parseManifestKey(key);
    if (found !== undefined && (backup ?? found.backup) === found.backup) yield key;
  }
}

function describe({ outcome, before, after, proven }: Rewrapped): string {
  if (outcome === 'NotEncrypted') return 'not encrypted';
  const change = `${before.join(', ')} -> ${after.join(', ')}`;
  if (outcome === 'Unchanged') return `unchanged: ${before.join(', ')}`;
  if (outcome === 'WouldChange') return `would change: ${change}`;
  return `changed: ${change}${proven ? '' : ' (not opened again: no identity of a new recipient was given)'}`;
}
