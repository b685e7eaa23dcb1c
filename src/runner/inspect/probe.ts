import { Failure, toFailure } from '../../api/failure.ts';
import { probeKey } from '../../domain/layout.ts';
import type { InspectVerdict } from '../../domain/report.ts';
import type { Storage } from '../../storage/storage.ts';
import { WholeBytes } from '../../storage/whole-bytes.ts';
import type { Clock, Random } from '../../support/clock.ts';
import { readSmall } from '../read-small.ts';

type Operation = NonNullable<InspectVerdict['failedOperation']>;
type Latencies = InspectVerdict['latencies'];

export interface ProbeResult {
  readonly latencies: Latencies;
  readonly failure?: { readonly operation: Operation; readonly failure: Failure };
}

/**
 * Writes one fixed key, reads it back, finds it in a listing, deletes it and looks that it is gone. A key that a crashed probe
 * left behind is overwritten. Never throws but on abort.
 */
export async function probeWrite(
  storage: Storage,
  clock: Clock,
  random: Random,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const content = Buffer.from(`pgbackup probe ${Buffer.from(random.bytes(32)).toString('hex')}\n`);
  const steps: readonly [Operation, () => Promise<void>][] = [
    ['put', () => put(storage, content, signal)],
    ['get', () => getBack(storage, content, signal)],
    ['list', () => findInListing(storage, signal)],
    ['delete', () => deleteAndLook(storage, signal)],
  ];
  const latencies: Latencies = {};
  for (const [operation, step] of steps) {
    const failure = await timed(operation, latencies, clock, signal, step);
    if (failure === undefined) continue;
    // Best effort: what was written should not stay, but its own failure would only hide the first one.
    if (operation === 'get' || operation === 'list') await storage.delete(probeKey, signal).catch(() => undefined);
    return { latencies, failure: { operation, failure } };
  }
  return { latencies };
}

/** For a location that is never written to: lists, and reads what may be read. `readFirst` says when it has listed. Never throws but on abort. */
export async function probeRead(
  readFirst: (onListed: () => void) => Promise<void>,
  clock: Clock,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const latencies: Latencies = {};
  let listed = false;
  let listMilliseconds = 0;
  const began = clock.monotonicMs();
  try {
    await readFirst(() => {
      listed = true;
      listMilliseconds = roundMilliseconds(clock.monotonicMs() - began);
    });
    latencies.listMilliseconds = listMilliseconds;
    latencies.getMilliseconds = roundMilliseconds(clock.monotonicMs() - began - listMilliseconds);
    return { latencies };
  } catch (error) {
    signal.throwIfAborted();
    return { latencies, failure: { operation: listed ? 'get' : 'list', failure: toFailure(error) } };
  }
}

async function timed(
  operation: Operation,
  latencies: Latencies,
  clock: Clock,
  signal: AbortSignal,
  step: () => Promise<void>,
): Promise<Failure | undefined> {
  const began = clock.monotonicMs();
  try {
    await step();
    latencies[`${operation}Milliseconds`] = roundMilliseconds(clock.monotonicMs() - began);
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    return toFailure(error);
  }
}

async function put(storage: Storage, content: Buffer, signal: AbortSignal): Promise<void> {
  const stored = await storage.put(probeKey, new WholeBytes(content), {}, signal);
  if (stored.bytes !== content.length) {
    throw new Failure(
      'StoredBytesDiffer',
      `the store says it holds ${stored.bytes} bytes of the probe, ${content.length} were sent`,
    );
  }
}

async function getBack(storage: Storage, content: Buffer, signal: AbortSignal): Promise<void> {
  const back = await readSmall(storage, probeKey, 64 * 1024, signal);
  if (back.equals(content)) return;
  throw new Failure('StoredBytesDiffer', 'what was read back is not what the probe wrote', {
    hint: 'unless another inspection of the same place ran at this moment, do not trust this store',
  });
}

async function findInListing(storage: Storage, signal: AbortSignal): Promise<void> {
  for await (const { key } of storage.list(probeKey, undefined, signal)) {
    if (key === probeKey) return;
  }
  throw new Failure('StorageFailed', 'the probe was written and read, but a listing does not show it', {
    hint: 'without complete listings neither catalogue nor retention can be trusted here',
  });
}

async function deleteAndLook(storage: Storage, signal: AbortSignal): Promise<void> {
  await storage.delete(probeKey, signal);
  if ((await storage.stat(probeKey, signal)) === undefined) return;
  throw new Failure('StorageFailed', 'the store acknowledged a delete, but the probe is still there');
}

function roundMilliseconds(milliseconds: number): number {
  return Math.max(0, Math.round(milliseconds * 10) / 10);
}
