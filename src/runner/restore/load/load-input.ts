import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../../api/failure.ts';
import type { Bytes } from '../../../pipeline/bytes.ts';
import { loadArchive } from '../../../postgres/load-archive.ts';
import { loadScript } from '../../../postgres/load-script.ts';
import type { Archive, ArchiveContents, LoadHooks, LoadOptions, LoadTools } from '../../../postgres/load-types.ts';
import { tryDefinitions } from '../../../postgres/try-definitions.ts';
import type { RestoreInput } from '../source/source.ts';
import type { TargetPlan } from '../target/check-target.ts';
import type { Refusals } from '../tell/count-refusals.ts';
import type { RestoreProgress } from '../tell/restore-progress.ts';
import { fetchArchive } from './fetch-archive.ts';

/** Loads what was prepared for one target. @param hooks its bytes are counted by `progress` @returns notes */
export type LoadInput = (
  progress: RestoreProgress,
  signal: AbortSignal,
  hooks?: Pick<LoadHooks, 'afterBegin' | 'beforeLoad' | 'beforeCommit'>,
) => Promise<readonly string[]>;

/** Where it goes, and where what the server refuses of it goes. */
interface Into {
  readonly plan: TargetPlan;
  readonly refusals: Refusals | undefined;
}

/** An archive whose head was read. */
export interface FoundArchive {
  readonly archive: Archive;
  readonly contents: ArchiveContents;
  /** For the archive as a file; removed with all that is in it when it is loaded. */
  readonly folder: string;
  /** What its selection has to say. */
  readonly notes: readonly string[];
  /** Its rows are streamed whatever the number of connections, as those of our own backups are. */
  readonly streams: boolean;
}

export function archiveLoad(
  { plan, refusals }: Into,
  { archive, contents, folder, notes: selected, streams }: FoundArchive,
  options: LoadOptions,
  tools: LoadTools,
): LoadInput {
  return async (progress, signal, hooks) => {
    const notes = [...selected];
    const isNewer = contents.serverMajor > tools.serverMajor;
    if (isNewer && !options.singleTransaction && refusals === undefined) {
      notes.push(...(await tryDefinitions(tools, archive, options, signal)).notes);
    }
    let ready = archive;
    if (!streams && needsFile(archive, options)) {
      progress.at('Fetching', plan.target);
      const path = join(folder, 'archive');
      await fetchArchive(progress.loaded.through(archive.open(signal)), path);
      ready = { kind: 'path', format: archive.format, path };
    }
    progress.at('Loading', plan.target);
    const allHooks = { ...hooks, onRefused: refusals?.add };
    const all = { ...options, contents };
    notes.push(...(await loadWhole(ready, progress, (from) => loadArchive(tools, from, all, signal, allHooks))));
    await rm(folder, { recursive: true, force: true });
    return notes;
  };
}

export function scriptLoad(
  { plan, refusals }: Into,
  input: RestoreInput,
  options: LoadOptions,
  tools: LoadTools,
): LoadInput {
  const { noOwner, noPrivileges } = options;
  return async (progress, signal, hooks) => {
    progress.at('Loading', plan.target);
    const stream = whole(input.open);
    const { notes } = await loadScript(
      tools,
      (until) => progress.loaded.throughWhole(stream.open(until)),
      { ...options, part: input.part ?? 'whole' },
      signal,
      { ...hooks, onRefused: refusals?.add },
    );
    stream.check();
    return [
      ...notes,
      ...(noOwner || noPrivileges
        ? ['a script says itself whose everything is: noOwner and noPrivileges do not count']
        : []),
    ];
  };
}

/** Several connections need the archive as a file; of a tar nobody can take them apart. */
function needsFile(archive: Archive, { jobs }: LoadOptions): archive is Extract<Archive, { readonly kind: 'stream' }> {
  return archive.kind === 'stream' && archive.format !== 'tar' && jobs > 1;
}

async function loadWhole(
  archive: Archive,
  { loaded }: Pick<RestoreProgress, 'loaded'>,
  load: (from: Archive) => Promise<{ readonly notes: readonly string[] }>,
): Promise<readonly string[]> {
  if (archive.kind === 'path') return (await load(archive)).notes;
  const stream = whole(archive.open);
  const { notes } = await load({ ...archive, open: (until) => loaded.throughWhole(stream.open(until)) });
  stream.check();
  return notes;
}

/** Hashes and sizes are known at the very end of a stream: a load counts only if it was read that far. */
function whole(open: (signal: AbortSignal) => Bytes): { open(signal: AbortSignal): Bytes; check(): void } {
  let ended = false;
  return {
    async *open(signal) {
      ended = false;
      yield* open(signal);
      ended = true;
    },
    check() {
      if (!ended) throw new Failure('Internal', 'the archive was loaded without being read to its end');
    },
  };
}
