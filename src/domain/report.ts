import { z } from 'zod';
import { probeOperations } from '../api/probe.ts';
import { destinationOutcomes } from '../api/backup.ts';
import { noteSum } from '../api/notes.ts';
import { failureReasonNames } from '../api/reasons.ts';
import { mostRefusedTold, restoredOutcomes } from '../api/restore-request.ts';
import { copied, copyEnd } from './copy-report.ts';
import { readSource } from './fit-source.ts';
import { unseenManifests } from './known-manifests.ts';
import { latencies, offers } from './probe-report.ts';
import { pruned, pruneEnd } from './prune-report.ts';
import { proposedRemains, remainsSeen } from './remains-report.ts';

/**
 * What a runner answers, in two ways that outlive it: one verdict in its termination message (at most 3 KiB), and lines in its log
 * (winston JSON): `progress` while it works, `result` lines at the end for details that do not fit. Every shape carries `v`;
 * a newer controller reads the previous version.
 */
export const reportVersion = 1;
export const verdictMaxBytes = 3 * 1024;

const reason = z.enum(failureReasonNames);
const time = z.string();
const size = z.int().min(0);
/** Read leniently: a name of a stranger's file that is too long must not cost the verdict. */
const toldSource = z.unknown().transform(readSource);

const verdictDestination = z.object({
  location: z.string(),
  outcome: z.enum(destinationOutcomes),
  reason: reason.optional(),
  /** At most 120 characters here; the whole text is in the log. */
  message: z.string().optional(),
  bytes: size.optional(),
  manifestSha256: z.string().optional(),
  /** Bytes of volumes that were read back there and were what had been sent. */
  readBackBytes: size.optional(),
});

export const backupVerdict = z.object({
  v: z.literal(reportVersion),
  kind: z.literal('backup'),
  verdict: z.enum(['Succeeded', 'PartlyFailed', 'Failed']),
  /** Absent when all is well; a best-effort destination that failed leaves Succeeded with that destination's reason inside. */
  reason: reason.optional(),
  message: z.string().optional(),
  hint: z.string().optional(),
  attempt: z.string(),
  startedAt: time,
  completedAt: time,
  plainBytes: size,
  storedBytes: size,
  destinations: z.array(verdictDestination),
  /** Absent when there are none. */
  notes: z.array(noteSum()).optional(),
  /** How many `result` lines the log has; fewer found = the log was not read. */
  resultLines: size,
});
export type BackupVerdict = z.infer<typeof backupVerdict>;

export type PlaceOffers = z.infer<typeof offers>;

export const inspectVerdict = z.object({
  v: z.literal(reportVersion),
  kind: z.literal('inspect'),
  verdict: z.enum(['Succeeded', 'Failed']),
  reason: reason.optional(),
  message: z.string().optional(),
  hint: z.string().optional(),
  /** The step of the probe that failed. */
  failedOperation: z.enum(probeOperations).optional(),
  startedAt: time,
  completedAt: time,
  latencies,
  offers: offers.optional(),
  /** A part of full size was stored and read back, too. */
  fullPart: z.boolean().optional(),
  remains: remainsSeen.optional(),
  /** This page only. */
  backups: size,
  storedBytes: size,
  damagedManifests: size,
  /** Key after which the next page starts; absent when the catalogue is complete. */
  after: z.string().optional(),
  resultLines: size,
});
export type InspectVerdict = z.infer<typeof inspectVerdict>;

/** Facts that fit every end of a restore, its cleanup included; details of each database are `result` lines. */
export const restoreVerdict = z.object({
  v: z.literal(reportVersion),
  kind: z.literal('restore'),
  /** PartlyFailed: restored, without what the server refused. */
  verdict: z.enum(['Succeeded', 'PartlyFailed', 'Failed']),
  reason: reason.optional(),
  message: z.string().optional(),
  hint: z.string().optional(),
  /** True: the source was the one of `unlessRestored`; nothing was done. */
  unchanged: z.boolean().optional(),
  /**
   * What the targets are now. Untouched: as they were. Restored: all of them. Changed: an InPlace restore that was not one
   * transaction failed in the middle.
   */
  target: z.enum(restoredOutcomes),
  /**
   * True: the server could not be asked any more what the target is now, or what is beside it could not be dropped. A cleanup finds out;
   * until then `target` is a guess.
   */
  unsettled: z.boolean().optional(),
  attempt: z.string(),
  startedAt: time,
  completedAt: time,
  /** As soon as it was chosen. */
  source: toldSource.optional(),
  readBytes: size,
  plainBytes: size,
  resultLines: size,
});
export type RestoreVerdict = z.infer<typeof restoreVerdict>;

export const cleanupVerdict = z.object({
  v: z.literal(reportVersion),
  kind: z.literal('cleanup'),
  verdict: z.enum(['Succeeded', 'Failed']),
  reason: reason.optional(),
  message: z.string().optional(),
  hint: z.string().optional(),
  /** Restored: all of it is committed or swapped. Untouched: nothing is. Changed: some targets of several, or a part of a script. */
  target: z.enum(restoredOutcomes).optional(),
  /** How much the server had refused of what was restored; absent: nothing. */
  refused: size.optional(),
  /** What was restored, if the target tells. */
  source: toldSource.optional(),
  startedAt: time,
  completedAt: time,
  /** Databases that were dropped: at most 20 names. */
  dropped: z.array(z.string()),
  resultLines: size,
});
export type CleanupVerdict = z.infer<typeof cleanupVerdict>;

export const pruneVerdict = pruneEnd.extend({ v: z.literal(reportVersion) });
export type PruneVerdict = z.infer<typeof pruneVerdict>;

export const verdict = z.discriminatedUnion('kind', [
  backupVerdict,
  inspectVerdict,
  restoreVerdict,
  cleanupVerdict,
  pruneVerdict,
  copyEnd.extend({ v: z.literal(reportVersion) }),
]);
export type Verdict = z.infer<typeof verdict>;
export type CopyVerdict = Extract<Verdict, { readonly kind: 'copy' }>;

/** Every line of the log has winston's level, message and timestamp besides. */
export const progressLine = z.object({
  type: z.literal('progress'),
  v: z.literal(reportVersion),
  /** Why nothing moves yet; absent while it works. */
  waiting: z.enum(['WaitingForSecret', 'WaitingForServer', 'WaitingForStorage']).optional(),
  /** Of a restore. */
  step: z.enum(['Fetching', 'Loading', 'Analyzing', 'Checking', 'Swapping']).optional(),
  detail: z.string().optional(),
  plainBytes: size,
  estimatedBytes: size.optional(),
  bytesPerSecond: size,
  database: z.string().optional(),
  databasesDone: size,
  databasesTotal: size,
});
export type ProgressLine = z.infer<typeof progressLine>;

const ofResult = { type: z.literal('result'), v: z.literal(reportVersion) };

export const databaseResult = z.object({
  ...ofResult,
  kind: z.literal('database'),
  name: z.string(),
  outcome: z.enum(['stored', 'failed', 'skipped']),
  reason: reason.optional(),
  detail: z.string().optional(),
  plainBytes: size.optional(),
  storedBytes: size.optional(),
  durationMilliseconds: z.number().optional(),
});
export type DatabaseResult = z.infer<typeof databaseResult>;

/** One committed backup that an inspection found. */
export const foundBackup = z.object({
  ...ofResult,
  kind: z.literal('backup'),
  key: z.string(),
  id: z.string(),
  uid: z.string(),
  policy: z.string(),
  /** Runners of earlier versions do not say it. */
  policyUid: z.string().optional(),
  slot: z.string().optional(),
  startedAt: time,
  completedAt: time,
  attempt: z.string(),
  plainBytes: size,
  storedBytes: size,
  manifestSha256: z.string(),
  mark: z.string().optional(),
  stored: z.array(z.string()),
  failed: z.array(z.object({ name: z.string(), reason })),
});
export type FoundBackup = z.infer<typeof foundBackup>;

/** A manifest that an inspection could not read. */
export const damagedManifest = z.object({
  ...ofResult,
  kind: z.literal('damaged'),
  key: z.string(),
  detail: z.string(),
});
export type DamagedManifest = z.infer<typeof damagedManifest>;

/** What the server refused of one database, and what was left out because of it. */
const refused = z.object({
  count: size,
  entries: z.array(z.object({ entry: z.string(), reason, message: z.string() })).max(mostRefusedTold),
});
export type RefusedSum = z.infer<typeof refused>;

/** What became of one target database of a restore. */
export const restoredDatabase = z.object({
  ...ofResult,
  kind: z.literal('restored'),
  source: z.string().optional(),
  target: z.string(),
  outcome: z.enum(restoredOutcomes),
  reason: reason.optional(),
  detail: z.string().optional(),
  /** Name under which the replaced database was kept. */
  previous: z.string().optional(),
  /** What was left out or done otherwise. */
  notes: z.array(z.string()).optional(),
  refused: refused.optional(),
  plainBytes: size.optional(),
  durationMilliseconds: z.number().optional(),
});
export type RestoredDatabase = z.infer<typeof restoredDatabase>;

/** Roles that globals created, in lines of at most 100. */
export const createdRoles = z.object({
  ...ofResult,
  kind: z.literal('roles'),
  names: z.array(z.string()),
});
export type CreatedRoles = z.infer<typeof createdRoles>;

export const resultLine = z.discriminatedUnion('kind', [
  databaseResult,
  foundBackup,
  damagedManifest,
  proposedRemains.extend(ofResult),
  unseenManifests.extend(ofResult),
  restoredDatabase,
  createdRoles,
  pruned.extend(ofResult),
  copied.extend(ofResult),
]);
export type ResultLine = z.infer<typeof resultLine>;

/** The verdict, or undefined when the text is none (empty, cut, of another program). */
export function parseVerdict(text: string | undefined): Verdict | undefined {
  return parseWith(verdict, text);
}

/** The last progress line of a log, if it has one. */
export function findProgress(log: string): ProgressLine | undefined {
  for (const line of log.split('\n').reverse()) {
    const found = line.includes('"progress"') ? parseWith(progressLine, line) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The `result` lines of a log, or undefined when there are not exactly as many as the verdict announced. */
export function findResults(log: string, announced: number): readonly ResultLine[] | undefined {
  const found = log
    .split('\n')
    .filter((line) => line.includes('"result"'))
    .map((line) => parseWith(resultLine, line))
    .filter((line) => line !== undefined);
  return found.length === announced ? found : undefined;
}

function parseWith<T>(schema: z.ZodType<T>, text: string | undefined): T | undefined {
  if (text === undefined || text === '') return undefined;
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
