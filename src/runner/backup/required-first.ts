import { Failure } from '../../api/failure.ts';
import type { Workshop } from '../workshop.ts';
import type { Destination } from './destination.ts';

/**
 * Does something at every place, at all of them at once. Required places decide how long that takes: when it is done at all of them, and
 * `meanwhile` is over too, a best-effort place gets `graceMs` more. Then its signal aborts with a failure that says so; `work` has to end by
 * that. Without a required place nobody is hurried.
 */
export async function requiredFirst<T>(
  destinations: readonly Destination[],
  { clock, signal }: Pick<Workshop, 'clock' | 'signal'>,
  { graceMs, meanwhile }: { readonly graceMs: number; readonly meanwhile?: Promise<unknown> },
  work: (destination: Destination, signal: AbortSignal) => Promise<T>,
): Promise<readonly T[]> {
  const late = new Map(destinations.map((destination) => [destination, new AbortController()]));
  const over = new AbortController();
  const works = destinations.map((destination) => {
    const own = late.get(destination)?.signal;
    return work(destination, destination.required || own === undefined ? signal : AbortSignal.any([signal, own]));
  });
  const decisive = works.filter((_, index) => destinations[index]?.required === true);
  const hurry = async (): Promise<void> => {
    await Promise.allSettled([...decisive, meanwhile]);
    await clock.sleep(graceMs, over.signal);
    for (const [destination, controller] of late) controller.abort(tooLate(destination, graceMs));
  };
  // The sleep ends with the work.
  if (decisive.length > 0) hurry().catch(() => undefined);
  try {
    return await Promise.all(works);
  } finally {
    over.abort();
  }
}

function tooLate({ location }: Destination, graceMs: number): Failure {
  const seconds = graceMs / 1000;
  return new Failure('StorageUnreachable', `${location} was not ready ${seconds} s after the required places were`, {
    hint: 'a run does not wait for best-effort places; make it required if it should',
  });
}
