import type { ArchiveContents, ArchiveEntry, ArchiveSelection } from './load-types.ts';

export interface SelectedEntries {
  /** In the archive's order; undefined: all. */
  readonly entries: readonly ArchiveEntry[] | undefined;
  /** What was left out because the other end of it is not selected. */
  readonly notes: readonly string[];
}

/** @throws Failure SelectionMissing */
export function selectEntries(
  _contents: ArchiveContents,
  _selection: ArchiveSelection,
  _options: { readonly freshDatabase?: boolean } = {},
): SelectedEntries {
  return { entries: undefined, notes: [] };
}
