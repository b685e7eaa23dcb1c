import { createHash } from 'node:crypto';
import { Failure, toFailure } from '../../api/failure.ts';
import { parseManifestKey } from '../../domain/layout.ts';
import { manifestMaxBytes, parseManifest, type Manifest } from '../../domain/manifest.ts';
import type { ObjectStat, Storage } from '../../storage/storage.ts';
import { readMarks, unseenMax, type KnownManifests } from '../../domain/known-manifests.ts';
import type { ReportLines, Result } from '../report-lines.ts';
import { checkSignature, isNoBackup } from '../check-signature.ts';
import { nextBatch } from '../next-batch.ts';
import { readSmall } from '../read-small.ts';
import { markOf } from './mark.ts';

type FoundLine = Extract<Result, { readonly kind: 'backup' }>;

export interface CataloguePage {
  readonly backups: number;
  readonly storedBytes: number;
  readonly damagedManifests: number;
  /** The last key that was taken, when there are more. */
  readonly after?: string;
}

interface PageAsked {
  readonly namespace: string;
  readonly after?: string | undefined;
  readonly pageSize: number;
  readonly known?: KnownManifests | undefined;
  readonly location?: { readonly signedBy?: readonly string[] | undefined };
}

/** Manifests of a page: those to be read, and the keys of those that look as they did. */
interface Listing {
  readonly listed: readonly ObjectStat[];
  readonly known: readonly string[];
  /** Marks that were not come upon. */
  readonly unseen: ReadonlySet<string>;
  /** Where the next page begins; undefined when there is none. */
  readonly last: string | undefined;
}

/** A page's lines stay below what a node keeps of a log before it rotates it. */
const pageMaxBytes = 4 * 1024 * 1024;

/**
 * One page of what is stored for a namespace: a `result` line for each manifest that is not known, in order of their keys, at most `pageSize` lines
 * and about 4 MiB of them. A manifest that cannot be understood is a line too (`damaged`); one that vanished since it was listed
 * is none.
 * @throws Failure of the store when it cannot be listed or a manifest cannot be read: half a catalogue is never told as a whole
 */
export async function readCatalogue(
  storage: Storage,
  page: PageAsked,
  lines: ReportLines,
  signal: AbortSignal,
): Promise<CataloguePage> {
  const { listed, known, unseen, last: end } = await listManifests(storage, page, signal);
  const startBytes = lines.resultBytes();
  let backups = 0;
  let storedBytes = 0;
  let damagedManifests = 0;
  let last: string | undefined;
  let taken = 0;

  while (taken < listed.length && lines.resultBytes() - startBytes < pageMaxBytes) {
    const batch = nextBatch(listed, taken);
    const results = await Promise.all(
      batch.map((found) => readBackup(storage, found, page.location?.signedBy, signal)),
    );
    for (const [index, result] of results.entries()) {
      // Lines of a batch that is already read may be left to the next page.
      if (lines.resultBytes() - startBytes >= pageMaxBytes) break;
      taken += 1;
      last = batch[index]?.key;
      if (result === undefined) continue;
      lines.result(result);
      if (result.kind === 'backup') {
        backups += 1;
        storedBytes += result.storedBytes;
      } else {
        damagedManifests += 1;
      }
    }
  }
  const after = taken < listed.length ? last : end;
  if (page.known !== undefined) tellUnseen([...unseen], lines);
  // What comes after a page that was cut short is the next one's.
  backups += after === undefined ? known.length : known.filter((key) => key <= after).length;
  return { backups, storedBytes, damagedManifests, ...(after === undefined ? {} : { after }) };
}

function tellUnseen(marks: readonly string[], lines: ReportLines): void {
  for (let from = 0; from === 0 || from < marks.length; from += unseenMax) {
    lines.result({ kind: 'known', unseen: marks.slice(from, from + unseenMax) });
  }
}

/** The key of the first manifest, if there is one: what a probe of a ReadOnly location can read. */
export async function findManifest(
  storage: Storage,
  namespace: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  for await (const { key } of storage.list(`${namespace}/`, undefined, signal)) {
    if (parseManifestKey(key) !== undefined) return key;
  }
  return undefined;
}

async function listManifests(storage: Storage, page: PageAsked, signal: AbortSignal): Promise<Listing> {
  const listed: ObjectStat[] = [];
  const known: string[] = [];
  const unseen = new Set(page.known === undefined ? [] : readMarks(page.known));
  const until = page.known?.until;
  const signedBy = page.location?.signedBy;
  let last: string | undefined;
  for await (const found of storage.list(`${page.namespace}/`, page.after, signal)) {
    if (parseManifestKey(found.key) === undefined) continue;
    if (until !== undefined && found.key > until) return { listed, known, unseen, last: until };
    const mark = markOf(found, signedBy);
    if (mark !== undefined && unseen.delete(mark)) {
      known.push(found.key);
      last = found.key;
      continue;
    }
    // One more than fits: only then is there a next page.
    if (listed.length === page.pageSize) return { listed, known, unseen, last };
    listed.push(found);
    last = found.key;
  }
  return { listed, known, unseen, last: undefined };
}

async function readBackup(
  storage: Storage,
  found: ObjectStat,
  signedBy: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<Result | undefined> {
  const { key } = found;
  try {
    if (found.bytes > manifestMaxBytes) {
      throw new Failure('ManifestInvalid', `${key} has ${found.bytes} bytes, more than ${manifestMaxBytes}`);
    }
    const bytes = await readSmall(storage, key, manifestMaxBytes, signal);
    const manifestSha256 = createHash('sha256').update(bytes).digest('hex');
    const manifest = parseManifest(key, bytes.toString('utf8'));
    await checkSignature(storage, { manifest, bytes }, [signedBy], signal);
    const line = describeBackup(key, manifestSha256, manifest);
    return { ...line, mark: markOf(found, signedBy) };
  } catch (error) {
    const failure = toFailure(error);
    if (failure.reason === 'ObjectMissing') return undefined;
    // Deleted meanwhile, the manifest first.
    if (failure.reason === 'SignatureMissing' && (await storage.stat(key, signal)) === undefined) return undefined;
    if (isNoBackup(failure)) {
      return { kind: 'damaged', key, detail: failure.message.slice(0, 1000) };
    }
    throw error;
  }
}

function describeBackup(key: string, manifestSha256: string, manifest: Manifest): FoundLine {
  return {
    kind: 'backup',
    key,
    id: manifest.backup.id,
    uid: manifest.backup.uid,
    policy: manifest.policy.name,
    policyUid: manifest.policy.uid,
    slot: manifest.backup.slot,
    startedAt: manifest.startedAt,
    completedAt: manifest.completedAt,
    attempt: manifest.attempt,
    plainBytes: manifest.plainBytes,
    storedBytes: manifest.storedBytes,
    manifestSha256,
    stored: manifest.databases.filter(({ outcome }) => outcome === 'stored').map(({ name }) => name),
    failed: manifest.databases
      .filter(({ outcome }) => outcome === 'failed')
      // An older or foreign writer may have left the reason out; that it failed is what counts.
      .map(({ name, reason }) => ({ name, reason: reason ?? 'DumpFailed' })),
  };
}
