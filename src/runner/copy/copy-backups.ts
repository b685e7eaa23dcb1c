import { toFailure, type Failure } from '../../api/failure.ts';
import { placeKindOf, remedyFor } from '../../api/remedies.ts';
import { copiedPerLine, type CopyOutcome } from '../../domain/copy-report.ts';
import { reportVersion, type CopyVerdict } from '../../domain/report.ts';
import type { CopyTask } from '../../domain/task.ts';
import { abortFailure } from '../../storage/abortable.ts';
import type { Storage } from '../../storage/storage.ts';
import { gravestFailure } from '../gravest-failure.ts';
import { isPlaceGone } from '../is-place-gone.ts';
import { isoTime } from '../iso-time.ts';
import type { Workshop } from '../workshop.ts';
import { copyBackup, type CopiedBackup } from './copy-backup.ts';
import { paceBytes } from './pace-bytes.ts';

const detailCharacters = 200;
const mostFailuresInARow = 3;

/**
 * Copies backups from one place to another, one after the other. The same task can be done again, wherever the one before was killed. The
 * verdict tells how far it came; only an abort before the first backup is thrown.
 */
export async function copyBackups(task: CopyTask, workshop: Workshop): Promise<CopyVerdict> {
  const startedAt = isoTime(workshop.clock);
  const opened: Storage[] = [];
  let copied: readonly CopiedBackup[] = [];
  let stopped: Failure | undefined;
  try {
    const open = async (location: CopyTask['from']): Promise<Storage> => {
      const storage = await workshop.openLocation(location);
      opened.push(storage);
      return storage;
    };
    const from = await open(task.from);
    const to = await open(task.to);
    ({ copied, stopped } = await copyAll(from, to, task, workshop));
  } catch (error) {
    workshop.signal.throwIfAborted();
    stopped = toFailure(error);
  } finally {
    await Promise.all(opened.map((storage) => storage.close()));
  }
  tellCopied(copied, workshop);
  return judgeCopied(task, startedAt, copied, stopped, workshop);
}

async function copyAll(
  from: Storage,
  to: Storage,
  task: CopyTask,
  workshop: Workshop,
): Promise<{ readonly copied: readonly CopiedBackup[]; readonly stopped: Failure | undefined }> {
  const { signal, clock } = workshop;
  const work = {
    from,
    to,
    workshop,
    pace: paceBytes(task.bytesPerSecond, clock),
    namespace: task.namespace,
    policy: task.policy.name,
    appendOnly: task.to.appendOnly === true,
    signedBy: [task.from.signedBy, task.to.signedBy],
  };
  const copied: CopiedBackup[] = [];
  let inARow = 0;
  for (const given of task.backups) {
    if (signal.aborted) return { copied, stopped: abortFailure(signal) };
    const end = await copyBackup(given, work, signal);
    copied.push(end);
    inARow = end.failure !== undefined && isPlaceGone(end.failure) ? inARow + 1 : 0;
    if (inARow === mostFailuresInARow && copied.length < task.backups.length) return { copied, stopped: end.failure };
  }
  return { copied, stopped: undefined };
}

function tellCopied(copied: readonly CopiedBackup[], { lines, redactor }: Workshop): void {
  for (let from = 0; from < copied.length; from += copiedPerLine) {
    const backups = copied.slice(from, from + copiedPerLine).map(({ failure, ...rest }) => ({
      ...rest,
      ...(failure === undefined
        ? {}
        : {
            reason: failure.reason,
            // Redacted before it is cut: half a secret is one too.
            detail: Array.from(redactor.text(failure.message)).slice(0, detailCharacters).join(''),
          }),
    }));
    lines.result({ kind: 'copied', backups });
  }
}

function judgeCopied(
  { to, backups }: CopyTask,
  startedAt: string,
  copied: readonly CopiedBackup[],
  stopped: Failure | undefined,
  { clock, lines }: Workshop,
): CopyVerdict {
  const count = (outcome: CopyOutcome): number => copied.filter((each) => each.outcome === outcome).length;
  const failed = copied.flatMap(({ id, failure }) => (failure === undefined ? [] : [{ id, failure }]));
  const [first, ...others] = failed.map(({ failure }) => failure);
  // What another try of the Job can mend comes first: it tells of the others again.
  const worst =
    failed.find(({ failure }) => failure.consequence === 'retry')?.failure ??
    (first === undefined ? undefined : gravestFailure([first, ...others]));
  const failure = stopped ?? worst;
  const there = count('Copied') + count('Present');
  const some = there > 0 ? 'PartlyFailed' : 'Failed';
  const of = failed.find((each) => each.failure === worst);
  const message =
    stopped === undefined
      ? `${failed.length} of ${backups.length} backups were not copied (${of?.id}: ${of?.failure.message})`
      : `${copied.length} of ${backups.length} backups were looked at: ${stopped.message}`;
  return {
    v: reportVersion,
    kind: 'copy',
    verdict: failure === undefined ? 'Succeeded' : some,
    ...(failure === undefined
      ? {}
      : {
          reason: failure.reason,
          message,
          hint: failure.hint ?? remedyFor(failure.reason, placeKindOf(to.place)),
        }),
    startedAt,
    completedAt: isoTime(clock),
    copied: count('Copied'),
    present: count('Present'),
    sourceDamaged: count('SourceDamaged'),
    failed: count('Failed'),
    bytes: copied.reduce((sum, { bytes }) => sum + bytes, 0),
    resultLines: lines.resultLines(),
  };
}
