import { annotations, type BackupLocation } from '../../api/kinds.ts';
import { readMarks } from '../../domain/known-manifests.ts';
import { parseTask } from '../../domain/parse-task.ts';
import type { InspectVerdict, ResultLine } from '../../domain/report.ts';
import { readStamp } from '../../domain/stamp.ts';
import type { JobSeen } from '../run/pods.ts';

/** What a page of a catalogue proves about the manifests between its first and its last key. */
export interface CataloguePage {
  /** When it was begun, by the clock of its node. */
  readonly startedAt: number;
  /** Before the first of its keys. */
  readonly after: string;
  /** The last of its keys; undefined: there are none behind it. */
  readonly last: string | undefined;
  /** It came upon a manifest under the key, readable or not. */
  has(key: string): boolean;
  /** Why the manifest under the key cannot be read. */
  damageOf(key: string): string | undefined;
  /** A manifest with this mark was not read, since it looked as it did when it was. */
  isKnown(mark: string): boolean;
}

/** Undefined when the page could not be heard to its end, or was read where the location pointed before: it proves nothing then. */
export function readCataloguePage(
  results: readonly ResultLine[] | undefined,
  location: BackupLocation,
  job: JobSeen,
  verdict: InspectVerdict,
): CataloguePage | undefined {
  const lines = results ?? [];
  const startedAt = readStamp(verdict.startedAt);
  const known = readKnown(job);
  const spoken = lines.flatMap((line) => (line.kind === 'known' ? [line] : []));
  const isTold = known.size === 0 || spoken.length > 0;
  const isWhole = verdict.verdict === 'Succeeded' && lines.length === verdict.resultLines && isTold;
  const isOfHere = job.metadata.annotations?.[annotations.generation] === String(location.metadata.generation);
  if (!isWhole || !isOfHere || startedAt === undefined) return undefined;
  for (const mark of spoken.flatMap(({ unseen }) => unseen)) known.delete(mark);
  const read = new Set(lines.flatMap((line) => (line.kind === 'backup' ? [line.key] : [])));
  const damaged = new Map(lines.flatMap((line) => (line.kind === 'damaged' ? [[line.key, line.detail] as const] : [])));
  return {
    startedAt,
    after: location.status?.catalogue?.after ?? '',
    last: verdict.after,
    has: (key) => read.has(key) || damaged.has(key),
    damageOf: (key) => damaged.get(key),
    isKnown: (mark) => known.has(mark),
  };
}

/** The marks that its runner was told. */
function readKnown(job: JobSeen): Set<string> {
  const text = job.spec?.template?.metadata?.annotations?.[annotations.task];
  if (text === undefined) return new Set();
  try {
    const task = parseTask(text);
    return new Set(task.kind === 'inspect' && task.known !== undefined ? readMarks(task.known) : []);
  } catch {
    // A Job of a version that told its runners nothing of the kind.
    return new Set();
  }
}
