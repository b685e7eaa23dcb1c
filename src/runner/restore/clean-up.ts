import { toFailure } from '../../api/failure.ts';
import { fitSource } from '../../domain/fit-source.ts';
import { reportVersion, type CleanupVerdict } from '../../domain/report.ts';
import type { CleanupTask } from '../../domain/task.ts';
import { isoTime } from '../iso-time.ts';
import type { Workshop } from '../workshop.ts';
import { openTarget, type OpenTarget } from './target/open-target.ts';
import { tellDatabase } from './tell/restore-verdict.ts';
import { settle } from './target/settle.ts';

const shownDropped = 20;

/**
 * Clears up after a restore whose runner died: finds out what its targets are, and drops what it left beside them. A runner that still
 * lives somewhere loses its sessions first, and can neither swap nor commit any more. Only an abort is thrown.
 */
export async function cleanUp(task: CleanupTask, workshop: Workshop): Promise<CleanupVerdict> {
  const { clock, lines, log, signal } = workshop;
  const startedAt = isoTime(clock);
  const envelope = (dropped: readonly string[]) =>
    ({
      v: reportVersion,
      kind: 'cleanup',
      startedAt,
      completedAt: isoTime(clock),
      dropped: dropped.slice(0, shownDropped),
      resultLines: lines.resultLines(),
    }) as const;
  let target: OpenTarget | undefined;
  try {
    const { request, waitForServerSeconds } = task;
    target = await openTarget({ request, ...task.target, waitForServerSeconds }, workshop);
    const { outcome, dropped, databases, source } = await settle(request, task.target.databases, target, workshop);
    for (const database of databases) tellDatabase(lines, database);
    log.info('cleared up', { outcome, dropped });
    const refused = databases.reduce((sum, database) => sum + (database.refused?.count ?? 0), 0);
    return {
      ...envelope(dropped),
      verdict: 'Succeeded',
      target: outcome,
      ...(source === undefined ? {} : { source: fitSource(source) }),
      ...(refused === 0 ? {} : { refused }),
    };
  } catch (error) {
    signal.throwIfAborted();
    const failure = toFailure(error);
    if (failure.reason === 'Internal') log.error('internal error', { stack: stackOf(error) });
    return {
      ...envelope([]),
      verdict: 'Failed',
      reason: failure.reason,
      message: failure.message,
      ...(failure.hint === undefined ? {} : { hint: failure.hint }),
    };
  } finally {
    await target?.close();
  }
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}
