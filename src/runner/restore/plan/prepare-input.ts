import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../../api/failure.ts';
import type { Archive, ArchiveEntry, LoadOptions, LoadTools } from '../../../postgres/load-types.ts';
import { readContents } from '../../../postgres/read-contents.ts';
import { chooseRestorePrograms } from '../../../postgres/restore-programs.ts';
import { selectEntries } from '../../../postgres/select-entries.ts';
import type { TargetPlan } from '../target/check-target.ts';
import type { LoadMeans } from './choose-means.ts';
import { countRefusals, type Refusals } from '../tell/count-refusals.ts';
import { archiveLoad, scriptLoad, type LoadInput } from '../load/load-input.ts';
import type { Workshop } from '../../workshop.ts';
import type { RestoreInput } from '../source/source.ts';
import type { LoadWanted } from '../wanted.ts';

/** What goes into one target, looked at. */
export interface PreparedInput {
  readonly plan: TargetPlan;
  readonly input: RestoreInput;
  /** What of the archive is restored; undefined: a script, whose content nobody knows before it runs. */
  readonly entries: readonly ArchiveEntry[] | undefined;
  /** What the server refuses goes there, and the load goes on. Undefined: the first refusal ends it. */
  readonly refusals: Refusals | undefined;
  readonly load: LoadInput;
}

/**
 * Reads the head of an archive: whether there are programs that read it and load it here, and whether what is selected is in it.
 * @throws Failure ProgramMissing, SelectionMissing, BackupDamaged, FileDamaged and those of the place
 */
export async function prepareInput(
  { plan, input }: Pick<PreparedInput, 'plan' | 'input'>,
  wanted: LoadWanted & { readonly means: LoadMeans },
  tools: LoadTools,
  { signal, log }: Pick<Workshop, 'signal' | 'log'>,
): Promise<PreparedInput> {
  const options = loadOptions(plan, wanted);
  const refusals = wanted.options.onError === 'Continue' ? countRefusals(plan.target, log) : undefined;
  if (input.format === 'sql') {
    checkScript(wanted);
    return { plan, input, entries: undefined, refusals, load: scriptLoad({ plan, refusals }, input, options, tools) };
  }
  const folder = join(tools.folder, `input-${plan.index}`);
  await mkdir(folder, { recursive: true });
  const archive = await openArchive(input, folder, signal);
  const contents = await readContents(tools, archive, signal);
  chooseRestorePrograms(tools.available, { serverMajor: tools.serverMajor, archiveVersion: contents.archiveVersion });
  const selected = selectEntries(contents, wanted.select, options);
  const found = { archive, contents, folder, notes: selected.notes, streams: wanted.isBackup };
  return {
    plan,
    input,
    entries: selected.entries ?? contents.entries,
    refusals,
    load: archiveLoad({ plan, refusals }, found, options, tools),
  };
}

/** @throws Failure SelectionMissing */
function checkScript({ select, clean }: LoadWanted): void {
  const { schemaOnly, dataOnly, ...names } = select;
  const selects = Object.values(names).some((given) => given !== undefined);
  if (!selects && !schemaOnly && !dataOnly && !clean) return;
  throw new Failure('SelectionMissing', 'a script of SQL runs as a whole: nothing of it can be selected or cleaned', {
    hint: 'restore it with mode Create to another database and take from there, or use an archive of pg_dump',
  });
}

function loadOptions(
  { loadInto }: TargetPlan,
  { mode, select, clean, options, means }: LoadWanted & { readonly means: LoadMeans },
): LoadOptions {
  const { noOwner, noPrivileges, without, searchPath, role } = options;
  const inPlace = mode === 'InPlace';
  return {
    database: loadInto,
    selection: select,
    noOwner,
    noPrivileges,
    without,
    searchPath,
    role,
    ...means,
    singleTransaction: inPlace,
    clean,
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
