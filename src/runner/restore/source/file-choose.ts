import { fitSource } from '../../../domain/fit-source.ts';
import { ownerOfKey, parseProbeKey } from '../../../domain/layout.ts';
import { Failure } from '../../../api/failure.ts';
import type { RestoredSource } from '../../../api/restore-spec.ts';
import { compareKeys } from '../../../storage/keys.ts';
import type { ObjectStat, Storage } from '../../../storage/storage.ts';
import type { Workshop } from '../../workshop.ts';
import type { FileWanted, SourceWanted } from '../wanted.ts';
import { compileFilePattern, compileFolderPattern, literalPrefix } from './file-pattern.ts';
import { tellWaiting, type StoreWait } from './file-wait.ts';

/** A source that is a file. */
export type FileSource = SourceWanted & { readonly file: FileWanted };

export interface ChosenFile {
  readonly stat: ObjectStat;
  readonly unchanged: boolean;
  /** What could not be looked at and may hold what was meant. */
  readonly notes: readonly string[];
}

const namesShown = 5;
const mostCounted = 100_000;

/**
 * The file that is meant, when it is there whole: two looks, `settleSeconds` apart, see the same (a third is taken when they do not).
 * The one that was restored last is found unchanged at the first look.
 * @throws Failure FileMissing, FileIncomplete, and those of the place
 */
export async function chooseFile(
  storage: Storage,
  { file: wanted, namespace, unlessRestored, settleSeconds }: FileSource,
  wait: StoreWait,
  workshop: Workshop,
): Promise<ChosenFile> {
  const { clock, signal } = workshop;
  const mayTake = (name: string): boolean => {
    const owner = wanted.foreign === true ? undefined : ownerOfKey(name);
    return owner === undefined || owner === namespace;
  };
  if (wanted.key !== undefined && !mayTake(wanted.key)) throw notOurs(wanted.key, namespace);
  const { key, notes } =
    wanted.key === undefined
      ? await wait.try(() => findNewest(storage, wanted.pattern ?? '', mayTake, signal))
      : { key: wanted.key, notes: [] };
  const look = async (): Promise<ObjectStat> => {
    const stat = await wait.try(() => storage.stat(key, signal));
    // A link has a name of its own, and shows what somebody else stored all the same.
    if (stat !== undefined && !mayTake(stat.target ?? key)) throw notOurs(key, namespace);
    if (stat !== undefined) return stat;
    throw await wait.try(() => missing(storage, `there is no file ${key}`, mayTake, signal));
  };
  let before = await look();
  if (isRestored(before, wanted, unlessRestored)) return { stat: before, unchanged: true, notes };
  for (let round = 1; ; round += 1) {
    tellWaiting(workshop, `looking twice at ${key}`);
    await clock.sleep(settleSeconds * 1000, signal);
    const now = await look();
    if (isSameFile(before, now)) return { stat: now, unchanged: false, notes };
    if (round === 2 || wait.isOver()) {
      throw new Failure('FileIncomplete', `${key} is still being written: ${before.bytes} bytes, then ${now.bytes}`);
    }
    before = now;
  }
}

export function isSameFile(a: ObjectStat, b: ObjectStat): boolean {
  return a.bytes === b.bytes && a.modifiedAtMs === b.modifiedAtMs && a.tag === b.tag && a.target === b.target;
}

/** How the file is told of, and what two runs are compared by. */
export function describeFile(location: string, stat: ObjectStat): RestoredSource {
  return {
    location,
    key: stat.key,
    bytes: stat.bytes,
    modifiedAt: new Date(stat.modifiedAtMs).toISOString(),
    ...(stat.tag === undefined ? {} : { tag: stat.tag }),
  };
}

function isRestored(stat: ObjectStat, wanted: FileWanted, restored: RestoredSource | undefined): boolean {
  if (restored?.key === undefined) return false;
  // As it was told: a long ETag is cut there.
  const now = fitSource(describeFile(wanted.location.name, stat));
  return (
    now.location === restored.location &&
    now.key === restored.key &&
    now.bytes === restored.bytes &&
    now.tag === restored.tag &&
    restored.modifiedAt !== undefined &&
    Date.parse(now.modifiedAt ?? '') === Date.parse(restored.modifiedAt)
  );
}

function notOurs(key: string, namespace: string): Failure {
  return new Failure('FileRefused', `${key} is what a run of another namespace than ${namespace} stored`, {
    hint: 'restore it in that namespace, or set source.file.foreign: true',
  });
}

async function findNewest(
  storage: Storage,
  pattern: string,
  mayTake: (key: string) => boolean,
  signal: AbortSignal,
): Promise<{ readonly key: string; readonly notes: readonly string[] }> {
  const isMeant = compileFilePattern(pattern);
  const mayHold = compileFolderPattern(pattern);
  let newest: ObjectStat | undefined;
  const unseen = new Set<string>();
  /** A folder of somebody else (`lost+found`) hides no file that could be meant; one that could is told. */
  const leftOut = (key: string): void => {
    if (unseen.size < namesShown && (isMeant(key) || mayHold(key.endsWith('/') ? key : `${key}/`))) unseen.add(key);
  };
  for await (const found of storage.list(literalPrefix(pattern), undefined, signal, leftOut)) {
    if (found.key.endsWith('/') || !isMeant(found.key) || parseProbeKey(found.key) !== undefined) continue;
    if (!mayTake(found.key) || !mayTake(found.target ?? found.key)) continue;
    if (newest === undefined || compareAge(found, newest) > 0) newest = found;
  }
  if (newest === undefined) throw await missing(storage, `no file matches ${pattern}`, mayTake, signal);
  const notes = [...unseen].map((key) => `${key} may not be read: what it holds was not looked at for ${pattern}`);
  return { key: newest.key, notes };
}

function compareAge(a: ObjectStat, b: ObjectStat): number {
  return a.modifiedAtMs - b.modifiedAtMs || compareKeys(a.key, b.key);
}

/** The newest first, and before what runs of ours have stored: that is hardly what was mistyped. */
function compareInterest(a: ObjectStat, b: ObjectStat): number {
  const [isOursA, isOursB] = [a, b].map(({ key }) => Number(ownerOfKey(key) !== undefined)) as [number, number];
  return isOursA - isOursB || compareAge(b, a);
}

/** Says what there is instead, of what may be taken: names of others are theirs. */
async function missing(
  storage: Storage,
  what: string,
  mayTake: (key: string) => boolean,
  signal: AbortSignal,
): Promise<Failure> {
  let count = 0;
  let newest: ObjectStat[] = [];
  const closed = new Set<string>();
  const note = (folder: string): void => void (closed.size < namesShown && closed.add(folder));
  try {
    for await (const found of storage.list('', undefined, signal, note)) {
      if (found.key.endsWith('/') || !mayTake(found.key) || !mayTake(found.target ?? found.key)) continue;
      if (parseProbeKey(found.key) !== undefined) continue;
      count += 1;
      newest = [...newest, found].sort(compareInterest).slice(0, namesShown);
      if (count === mostCounted) break;
    }
  } catch (error) {
    // What is not there is not there, also where nothing may be listed.
    if (!(error instanceof Failure) || error.reason !== 'StorageDenied') throw error;
    return new Failure('FileMissing', `${what} in ${storage.name}; what else there is may not be listed`, {
      cause: error,
    });
  }
  const files = `${count}${count === mostCounted ? ' or more' : ''} ${count === 1 ? 'file' : 'files'}`;
  const names = newest.map(({ key }) => key).join(', ');
  const unread = [...closed].join(', ');
  return new Failure(
    'FileMissing',
    `${what} in ${storage.name}; there are ${files}${names === '' ? '' : `, newest: ${names}`}${unread === '' ? '' : `; ${unread} may not be read`}`,
  );
}
