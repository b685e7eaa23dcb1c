import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../../api/failure.ts';
import type { RestoreTask } from '../../../domain/task.ts';
import type { Bytes } from '../../../pipeline/bytes.ts';
import { loadArchive } from '../../../postgres/load-archive.ts';
import { loadScript } from '../../../postgres/load-script.ts';
import type {
  Archive,
  ArchiveContents,
  ArchiveEntry,
  LoadHooks,
  LoadOptions,
  LoadTools,
} from '../../../postgres/load-types.ts';
import { readContents } from '../../../postgres/read-contents.ts';
import { chooseRestorePrograms } from '../../../postgres/restore-programs.ts';
import { selectEntries } from '../../../postgres/select-entries.ts';
import { tryDefinitions } from '../../../postgres/try-definitions.ts';
import type { TargetPlan } from '../target/check-target.ts';
import type { LoadMeans } from './choose-means.ts';
import { countRefusals, type Refusals } from '../tell/count-refusals.ts';
import { fetchArchive } from '../load/fetch-archive.ts';
import type { RestoreProgress } from '../tell/restore-progress.ts';
import type { Workshop } from '../../workshop.ts';
import type { RestoreInput } from '../source/source.ts';

/** What goes into one target, looked at. */
export interface PreparedInput {
  readonly plan: TargetPlan;
  readonly input: RestoreInput;
  /** What of the archive is restored; undefined: a script, whose content nobody knows before it runs. */
  readonly entries: readonly ArchiveEntry[] | undefined;
  /** What the server refuses goes there, and the load goes on. Undefined: the first refusal ends it. */
  readonly refusals: Refusals | undefined;
  /** Loads it. @param hooks its bytes are counted by `progress` @returns notes */
  readonly load: (
    progress: RestoreProgress,
    signal: AbortSignal,
    hooks?: Pick<LoadHooks, 'afterBegin' | 'beforeLoad' | 'beforeCommit'>,
  ) => Promise<readonly string[]>;
}

/**
 * Reads the head of an archive: whether there are programs that read it and load it here, and whether what is selected is in it.
 * @throws Failure ProgramMissing, SelectionMissing, BackupDamaged, FileDamaged and those of the place
 */
export async function prepareInput(
  plan: TargetPlan,
  input: RestoreInput,
  task: RestoreTask,
  tools: LoadTools,
  means: LoadMeans,
  { signal, log }: Pick<Workshop, 'signal' | 'log'>,
): Promise<PreparedInput> {
  const options = loadOptions(plan, task, means);
  const refusals = task.options.onError === 'Continue' ? countRefusals(plan.target, log) : undefined;
  if (input.format === 'sql') return prepareScript(plan, input, task, options, tools, refusals);
  const folder = join(tools.folder, `input-${plan.index}`);
  await mkdir(folder, { recursive: true });
  const archive = await openArchive(input, folder, signal);
  const contents = await readContents(tools, archive, signal);
  chooseRestorePrograms(tools.available, { serverMajor: tools.serverMajor, archiveVersion: contents.archiveVersion });
  const selected = selectEntries(contents, task.select, options);
  return {
    plan,
    input,
    entries: selected.entries ?? contents.entries,
    refusals,
    load: async (progress, until, hooks) => {
      const notes = [...selected.notes];
      if (isNewer(contents, tools) && task.mode !== 'InPlace' && refusals === undefined) {
        notes.push(...(await tryDefinitions(tools, archive, options, until)).notes);
      }
      // The rows of our own backups are streamed whatever the number of connections.
      const isOwn = task.source.backup !== undefined;
      const ready = isOwn ? archive : await fetchFor(archive, options, folder, plan, progress, until);
      progress.at('Loading', plan.target);
      notes.push(
        ...(await loadWhole(ready, { ...options, contents }, tools, progress, until, {
          ...hooks,
          onRefused: refusals?.add,
        })),
      );
      await rm(folder, { recursive: true, force: true });
      return notes;
    },
  };
}

function prepareScript(
  plan: TargetPlan,
  input: RestoreInput,
  task: RestoreTask,
  options: LoadOptions,
  tools: LoadTools,
  refusals: Refusals | undefined,
): PreparedInput {
  const { schemaOnly, dataOnly, ...names } = task.select;
  const selects = Object.values(names).some((given) => given !== undefined);
  if (selects || schemaOnly || dataOnly || task.clean) {
    throw new Failure('SelectionMissing', 'a script of SQL runs as a whole: nothing of it can be selected or cleaned', {
      hint: 'restore it with mode Create to another database and take from there, or use an archive of pg_dump',
    });
  }
  return {
    plan,
    input,
    entries: undefined,
    refusals,
    load: async (progress, signal, hooks) => {
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
      const { noOwner, noPrivileges } = task.options;
      return [
        ...notes,
        ...(noOwner || noPrivileges
          ? ['a script says itself whose everything is: noOwner and noPrivileges do not count']
          : []),
      ];
    },
  };
}

function loadOptions(plan: TargetPlan, task: RestoreTask, means: LoadMeans): LoadOptions {
  const { noOwner, noPrivileges, without, searchPath, role } = task.options;
  const inPlace = task.mode === 'InPlace';
  return {
    database: plan.loadInto,
    selection: task.select,
    noOwner,
    noPrivileges,
    without,
    searchPath,
    role,
    ...means,
    singleTransaction: inPlace,
    clean: task.clean,
    freshDatabase: !inPlace,
  };
}

async function openArchive(input: RestoreInput, folder: string, signal: AbortSignal): Promise<Archive> {
  if (input.format === 'custom' || input.format === 'tar') {
    return { kind: 'stream', format: input.format, open: input.open };
  }
  if (input.unpack === undefined) throw new Failure('Internal', 'a folder of an archive that cannot be unpacked');
  return { kind: 'path', format: 'directory', path: await input.unpack(folder, signal) };
}

/** Several connections need the archive as a file; of a tar nobody can take them apart. */
async function fetchFor(
  archive: Archive,
  { jobs }: LoadOptions,
  folder: string,
  plan: TargetPlan,
  progress: RestoreProgress,
  signal: AbortSignal,
): Promise<Archive> {
  if (archive.kind === 'path' || archive.format === 'tar' || jobs === 1) return archive;
  progress.at('Fetching', plan.target);
  const path = join(folder, 'archive');
  await fetchArchive(progress.loaded.through(archive.open(signal)), path);
  return { kind: 'path', format: archive.format, path };
}

async function loadWhole(
  archive: Archive,
  options: LoadOptions,
  tools: LoadTools,
  progress: RestoreProgress,
  signal: AbortSignal,
  hooks?: LoadHooks,
): Promise<readonly string[]> {
  if (archive.kind === 'path') return (await loadArchive(tools, archive, options, signal, hooks)).notes;
  const stream = whole(archive.open);
  const counted: Archive = { ...archive, open: (until) => progress.loaded.throughWhole(stream.open(until)) };
  const { notes } = await loadArchive(tools, counted, options, signal, hooks);
  stream.check();
  return notes;
}

function isNewer(contents: ArchiveContents, tools: LoadTools): boolean {
  return contents.serverMajor > tools.serverMajor;
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
