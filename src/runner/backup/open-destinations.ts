import { Failure, toFailure } from '../../api/failure.ts';
import { manifestKey } from '../../domain/layout.ts';
import type { BackupTask } from '../../domain/task.ts';
import type { Manifest } from '../../domain/manifest.ts';
import type { Workshop } from '../workshop.ts';
import { bounded } from '../bounded.ts';
import { checkSignature } from '../check-signature.ts';
import { idleProgress } from '../progress.ts';
import type { Destination } from './destination.ts';
import { checkSigner } from './check-signer.ts';
import { findCopy } from './find-copy.ts';
import { findEarlier } from './find-earlier.ts';
import { openSigner } from './open-signer.ts';
import { requiredFirst } from './required-first.ts';
import { tellApart } from './tell-apart.ts';
import { clearHollow } from './clear-hollow.ts';

const retryMilliseconds = 5_000;
/** A best-effort place that has not answered by then is left out, even if the required ones have not either. */
const bestEffortMilliseconds = 15_000;
/** What it gets when all required ones are open, and the server: time for an answer that is on its way. */
const graceMilliseconds = 2_000;
/** One try at a required place; Secrets have a limit of their own beside it. */
const requiredMilliseconds = 60_000;

/**
 * Opens every place and asks it for this backup's manifest. Afterwards each destination is live (nothing there), stored (this very
 * backup is there already, from an earlier try) or failed. A required place that does not answer is waited for as long as the
 * server would be; one that is best-effort is left out when it does not answer soon after the required ones (requiredFirst), or after
 * the server, which is opened `meanwhile`.
 * @returns the manifest of the earlier try, of the first destination that has one
 */
export async function openDestinations(
  task: BackupTask,
  destinations: readonly Destination[],
  workshop: Workshop,
  meanwhile: Promise<unknown>,
): Promise<Manifest | undefined> {
  const deadlineMs = workshop.clock.monotonicMs() + task.waitForServerSeconds * 1000;
  const found = await requiredFirst(
    destinations,
    workshop,
    { graceMs: graceMilliseconds, meanwhile },
    (destination, until) => openDestination(task, destination, deadlineMs, workshop, until),
  );
  await tellApart(task, destinations, workshop);
  return found.find((manifest, index) => manifest !== undefined && destinations[index]?.copy !== undefined);
}

async function openDestination(
  task: BackupTask,
  destination: Destination,
  deadlineMs: number,
  workshop: Workshop,
  until: AbortSignal,
): Promise<Manifest | undefined> {
  const { clock, log, lines, signal } = workshop;
  for (;;) {
    try {
      return await askInTime(task, destination, workshop, until);
    } catch (error) {
      signal.throwIfAborted();
      const failure = toFailure(error);
      const waits =
        failure.reason === 'StorageUnreachable' &&
        destination.required &&
        clock.monotonicMs() + retryMilliseconds < deadlineMs;
      if (!waits) {
        destination.failed(failure);
        log.error('destination cannot be used', {
          location: destination.location,
          reason: failure.reason,
          error: failure.message,
        });
        return undefined;
      }
      lines.progress({
        ...idleProgress,
        waiting: 'WaitingForServer',
        detail: `location ${destination.location}: ${failure.message}`,
      });
      await clock.sleep(retryMilliseconds, signal);
    }
  }
}

/** One limit around the opening and the asking, whatever of it hangs. */
async function askInTime(
  task: BackupTask,
  destination: Destination,
  workshop: Workshop,
  until: AbortSignal,
): Promise<Manifest | undefined> {
  const milliseconds = Math.min(
    workshop.stallMilliseconds + task.waitForSecretSeconds * 1000,
    destination.required ? requiredMilliseconds + task.waitForSecretSeconds * 1000 : bestEffortMilliseconds,
  );
  const late = new AbortController();
  const signal = AbortSignal.any([until, late.signal]);
  return await bounded(workshop.clock, milliseconds, async (limit) => {
    limit.addEventListener('abort', () => late.abort(silent(destination, milliseconds)), { once: true });
    return askDestination(task, destination, workshop, signal);
  });
}

function silent({ location }: Destination, milliseconds: number): Failure {
  return new Failure('StorageUnreachable', `${location} did not answer within ${Math.round(milliseconds / 1000)} s`);
}

async function askDestination(
  task: BackupTask,
  destination: Destination,
  workshop: Workshop,
  signal: AbortSignal,
): Promise<Manifest | undefined> {
  const entry = task.destinations.find(({ location }) => location.name === destination.location);
  if (entry === undefined) throw new Failure('Internal', `no destination ${destination.location} in the task`);
  const signer = await openSigner(task, workshop, signal);
  checkSigner(entry.location, signer);
  const storage = destination.storage ?? (await workshop.openLocation(entry.location, signal));
  destination.opened(storage);
  const key = manifestKey(task.namespace, task.policy.name, task.backup.name);
  const found = await findCopy(storage, key, signal);
  // It was given up meanwhile.
  signal.throwIfAborted();
  if (found === undefined) {
    // Beside the run: nobody waits for it.
    destination.looksForEarlier(() => findEarlier(task, storage, workshop));
    return undefined;
  }
  if (found.manifest.backup.uid !== task.backup.uid) throw alreadyStored(key, found.manifest);
  if (signer !== undefined) await checkSignature(storage, found, [[signer.publicKey]], signal);
  if (await clearHollow(storage, key, found.manifest, { ...workshop, signal })) return undefined;
  signal.throwIfAborted();
  destination.stored(found.copy);
  workshop.log.info('the backup is already stored there, by an earlier try', {
    location: destination.location,
    attempt: found.manifest.attempt,
  });
  return found.manifest;
}

export function alreadyStored(key: string, theirs: Manifest): Failure {
  return new Failure('AlreadyStored', `${key} belongs to a backup with another uid (${theirs.backup.uid})`, {
    hint: 'create the Backup under another name, or give the policy a location prefix of its own',
  });
}
