import { toFailure, type Failure } from '../../api/failure.ts';
import { placeKindOf, remedyFor } from '../../api/remedies.ts';
import type { RemainsSeen } from '../../domain/remains-report.ts';
import { reportVersion, type InspectVerdict } from '../../domain/report.ts';
import type { InspectTask } from '../../domain/task.ts';
import type { Storage } from '../../storage/storage.ts';
import { isoTime } from '../iso-time.ts';
import type { Workshop } from '../workshop.ts';
import { findManifest, readCatalogue, type CataloguePage } from './catalogue.ts';
import { inspectRemains } from './remains.ts';
import type { Operation } from './probe-types.ts';
import { probeAppendOnly, probeRead, probeWrite, type ProbeResult } from './probe.ts';

/**
 * Probes a location and reads one page of its catalogue. The verdict is Failed when either fails; only an abort is thrown.
 */
export async function inspectLocation(task: InspectTask, workshop: Workshop): Promise<InspectVerdict> {
  const { clock, signal, lines } = workshop;
  const startedAt = isoTime(clock);
  const end = (
    probe: ProbeResult,
    page: CataloguePage | undefined,
    failure?: { readonly failure: Failure; readonly message: string },
  ): InspectVerdict => ({
    v: reportVersion,
    kind: 'inspect',
    verdict: failure === undefined ? 'Succeeded' : 'Failed',
    ...(failure === undefined ? {} : { reason: failure.failure.reason, message: failure.message }),
    ...(failure === undefined
      ? {}
      : { hint: failure.failure.hint ?? remedyFor(failure.failure.reason, placeKindOf(task.location.place)) }),
    ...(probe.failure === undefined ? {} : { failedOperation: probe.failure.operation }),
    startedAt,
    completedAt: isoTime(clock),
    latencies: probe.latencies,
    ...(probe.offers === undefined ? {} : { offers: probe.offers }),
    ...(remains === undefined ? {} : { remains }),
    ...(probe.failure === undefined && task.probe && task.fullPart ? { fullPart: true } : {}),
    backups: page?.backups ?? 0,
    storedBytes: page?.storedBytes ?? 0,
    damagedManifests: page?.damagedManifests ?? 0,
    ...(page?.after === undefined ? {} : { after: page.after }),
    resultLines: lines.resultLines(),
  });

  let remains: RemainsSeen | undefined;
  let storage: Storage;
  try {
    storage = await workshop.openLocation(task.location);
  } catch (error) {
    signal.throwIfAborted();
    const failure = toFailure(error);
    return end({ latencies: {} }, undefined, { failure, message: failure.message });
  }
  try {
    const probe = task.probe ? await probeLocation(task, storage, workshop) : { latencies: {} };
    if (probe.failure !== undefined) {
      const { failure, operation } = probe.failure;
      return end(probe, undefined, {
        failure,
        message: `${operationWords[operation] ?? operation} failed: ${failure.message}`,
      });
    }
    if (task.remains !== undefined) {
      const placeNowMs = likelyNow(probe.placeNowMs, clock.nowMs());
      const found = await inspectRemains({ task, given: task.remains, storage, placeNowMs }, workshop);
      remains = found.seen;
      if (found.proposed.length > 0) lines.result({ kind: 'remains', folders: [...found.proposed] });
    }
    try {
      return end(probe, await readCatalogue(storage, task, lines, signal));
    } catch (error) {
      signal.throwIfAborted();
      const failure = toFailure(error);
      const passed = task.probe ? 'the probe passed, but ' : '';
      return end(probe, undefined, {
        failure,
        message: `${passed}the catalogue cannot be read: ${failure.message}`,
      });
    }
  } finally {
    await storage.close();
  }
}

const dayMs = 24 * 3600 * 1000;

/** Clocks that differ by a day say nothing about the age of anything: then nothing is removed. */
function likelyNow(placeNowMs: number | undefined, nowMs: number): number | undefined {
  return placeNowMs !== undefined && Math.abs(placeNowMs - nowMs) < dayMs ? placeNowMs : undefined;
}

const operationWords: Readonly<Partial<Record<Operation, string>>> = {
  conditionalPut: 'put only if absent',
  multipart: 'upload in parts',
  abort: 'abort of an upload',
};

async function probeLocation(task: InspectTask, storage: Storage, workshop: Workshop): Promise<ProbeResult> {
  const { clock, random, signal, attempt } = workshop;
  const { inspector, fullPart } = task;
  const probe = { storage, inspector, attempt, fullPart, clock, random, signal };
  if (task.accessMode === 'AppendOnly') return await probeAppendOnly(probe);
  if (task.accessMode === 'ReadWrite') return await probeWrite(probe);
  return await probeRead(async (onListed) => {
    const key = await findManifest(storage, task.namespace, signal);
    onListed();
    if (key === undefined) return;
    // Whether it can be understood is the catalogue's question.
    for await (const _chunk of storage.get(key, undefined, signal)) break;
  }, probe);
}
