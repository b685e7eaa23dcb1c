import { Failure, toFailure } from '../../api/failure.ts';
import { backupFolder, placeMarkKey } from '../../domain/layout.ts';
import type { BackupTask } from '../../domain/task.ts';
import { WholeBytes } from '../../storage/whole-bytes.ts';
import { bounded } from '../bounded.ts';
import type { Workshop } from '../workshop.ts';
import { cleanUp } from './clean-up.ts';
import type { Destination } from './destination.ts';
import { dropOut } from './drop-out.ts';
import { requiredFirst } from './required-first.ts';

/** For a few small requests; a place that cannot answer them in time takes no dump either. */
const limitMilliseconds = { required: 30_000, bestEffort: 10_000 } as const;

/** For a best-effort place when the required ones are done: a disk that has to sync a small file may be busy. */
const graceMilliseconds = 5_000;

/**
 * Finds destinations that are one place under two names (a bucket twice; a folder, and SFTP to it): each gets a mark of its own below this
 * attempt's folder, and who shows the mark of another is that other place. Of such two one stays, a required one if there is one: there
 * is one copy, and neither may delete what the other stores. A place that cannot be told apart from the others drops out.
 */
export async function tellApart(
  task: BackupTask,
  destinations: readonly Destination[],
  workshop: Workshop,
): Promise<void> {
  const opened = destinations.filter(isUsable);
  if (opened.length < 2) return;
  const folder = backupFolder(task.namespace, task.policy.name, task.backup.name);
  const keyOf = ({ location }: Destination): string => placeMarkKey(folder, workshop.attempt, location);
  // Of any two it is enough that one has a mark; where nothing can be deleted it would stay.
  const appendOnly = new Set(
    task.destinations.filter(({ location }) => location.appendOnly === true).map(({ location }) => location.name),
  );
  const unmarked = opened.find(({ location }) => appendOnly.has(location));
  await atEach(
    opened.filter((destination) => destination !== unmarked),
    workshop,
    async (destination, signal) => {
      destination.begin(keyOf(destination));
      const mark = new WholeBytes(Buffer.from(`${destination.location}\n`));
      await destination.storage?.put(keyOf(destination), mark, {}, signal);
    },
  );
  const marked = opened.filter(isUsable);
  const seen = new Map<Destination, readonly Destination[]>();
  await atEach(marked, workshop, async (destination, signal) => {
    const others = marked.filter((other) => other !== destination);
    const found = await Promise.all(others.map(async (other) => destination.storage?.stat(keyOf(other), signal)));
    seen.set(
      destination,
      others.filter((_, index) => found[index] !== undefined),
    );
  });
  const kept: Destination[] = [];
  // Sorting is stable: among equals the first one of the policy stays.
  for (const destination of marked.filter(isUsable).sort((a, b) => Number(b.required) - Number(a.required))) {
    const same = kept.find(
      (other) => seen.get(destination)?.includes(other) === true || seen.get(other)?.includes(destination) === true,
    );
    if (same === undefined) kept.push(destination);
    else rejectSame(destination, same, workshop);
  }
  // What cannot be deleted now, nor at a place that has failed meanwhile, is tried again at the end of the run.
  await atEach(marked, workshop, (destination, signal) =>
    cleanUp(destination, workshop, signal, destination.begun.includes(keyOf(destination)) ? [keyOf(destination)] : []),
  );
}

function isUsable({ storage, failure }: Destination): boolean {
  return storage !== undefined && failure === undefined;
}

async function atEach(
  destinations: readonly Destination[],
  workshop: Workshop,
  work: (destination: Destination, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { clock, signal } = workshop;
  await requiredFirst(destinations, workshop, { graceMs: graceMilliseconds }, async (destination, until) => {
    const milliseconds = destination.required ? limitMilliseconds.required : limitMilliseconds.bestEffort;
    try {
      await bounded(clock, milliseconds, (limit) => work(destination, AbortSignal.any([until, limit])));
    } catch (error) {
      signal.throwIfAborted();
      destination.forgetCopy();
      dropOut(destination, toFailure(error), workshop);
    }
  });
}

function rejectSame(destination: Destination, same: Destination, workshop: Workshop): void {
  destination.forgetCopy();
  const failure = new Failure(
    'SamePlace',
    `${destination.location} and ${same.location} are one place: there is one copy`,
    {
      hint: 'point one of the two locations somewhere else, or take one out of the policy',
    },
  );
  dropOut(destination, failure, workshop);
}
