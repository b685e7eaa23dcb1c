import { toFailure, type Failure } from '../../api/failure.ts';
import { keptProbe, probeFolder } from '../../domain/layout.ts';
import type { InspectVerdict, PlaceOffers } from '../../domain/report.ts';
import { removeOldProbes } from './old-probes.ts';
import { probeAppend } from './probe-append.ts';
import {
  abortUpload,
  deleteAndLook,
  findInListing,
  getBack,
  putIfAbsent,
  putInParts,
  putPlain,
} from './probe-steps.ts';
import type { Operation, Probe, Step } from './probe-types.ts';

type Latencies = InspectVerdict['latencies'];

export interface ProbeResult {
  readonly latencies: Latencies;
  readonly offers?: PlaceOffers;
  /** The place's clock, by what was just written there. */
  readonly placeNowMs?: number;
  readonly failure?: { readonly operation: Operation; readonly failure: Failure };
}

/**
 * Does what a run does, under keys of its own: puts, reads back whole and in part, puts only if absent and is refused the second time,
 * uploads in parts and gives an upload up, lists, deletes and looks that nothing is left. Never throws but on abort.
 */
export async function probeWrite(probe: Probe): Promise<ProbeResult> {
  const { storage, random, signal, fullPart } = probe;
  const folder = probeFolder(probe.inspector, probe.attempt);
  const content = (): Buffer => Buffer.from(`pgbackup probe ${Buffer.from(random.bytes(32)).toString('hex')}\n`);
  const [plain, whole] = [content(), content()];
  const key = `${folder}put`;
  const parts = `${folder}${fullPart ? 'full' : 'parts'}`;
  const written = [key, `${folder}absent`, `${folder}race`, parts, `${folder}aborted`];
  let placeNowMs = 0;
  const result = await walk(probe, [
    ['put', () => putPlain(storage, key, plain, signal)],
    ['get', () => getBack(storage, key, plain, signal)],
    ['conditionalPut', () => putIfAbsent(storage, folder, content, signal)],
    ['multipart', () => putInParts(storage, parts, whole, fullPart, signal)],
    ['abort', () => abortUpload(storage, `${folder}aborted`, signal)],
    [
      'list',
      async () => {
        placeNowMs = await findInListing(storage, folder, [key, `${folder}absent`, parts], signal);
      },
    ],
    ['delete', () => deleteAndLook(storage, written, signal)],
  ]);
  if (result.failure === undefined) await removeOldProbes(probe, placeNowMs);
  // Best effort: what was written should not stay, but its own failure would only hide the first one.
  if (result.failure !== undefined && result.failure.operation !== 'delete') {
    for (const one of written) await storage.delete(one, signal).catch(() => undefined);
  }
  return { ...result, placeNowMs };
}

/** For a place where nothing is ever deleted: objects that stay, the same ones each time. Never throws but on abort. */
export async function probeAppendOnly(probe: Probe): Promise<ProbeResult> {
  return await walk(probe, probeAppend(probe, probeFolder(probe.inspector, keptProbe)));
}

/** For a place that is never written to: lists, and reads what may be read. `readFirst` says when it has listed. Never throws but on abort. */
export async function probeRead(
  readFirst: (onListed: () => void) => Promise<void>,
  { clock, signal }: Pick<Probe, 'clock' | 'signal'>,
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

/** One step after another, up to the first that fails. */
async function walk({ clock, signal }: Probe, steps: readonly Step[]): Promise<ProbeResult> {
  const latencies: Latencies = {};
  let offers: PlaceOffers = {};
  for (const [operation, step] of steps) {
    const began = clock.monotonicMs();
    try {
      offers = { ...offers, ...(await step()) };
      latencies[`${operation}Milliseconds`] = roundMilliseconds(clock.monotonicMs() - began);
    } catch (error) {
      signal.throwIfAborted();
      return { latencies, offers, failure: { operation, failure: toFailure(error) } };
    }
  }
  return { latencies, offers };
}

function roundMilliseconds(milliseconds: number): number {
  return Math.max(0, Math.round(milliseconds * 10) / 10);
}
