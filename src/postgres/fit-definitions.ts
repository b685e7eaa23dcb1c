import { rewriteInternalOptions } from './internal-options.ts';
import type { Archive, ArchiveContents, LoadOptions } from './load-types.ts';
import { createsPublic, withoutPublic } from './public-schema.ts';
import type { RewriteDefinition } from './rewrite-definitions.ts';
import { setSearchPath, setsEmptyPath } from './search-path.ts';

/**
 * What of an archive's definitions has to be changed before pg_restore sees it: options that only some servers know, and the creation of
 * the schema public, which a new database has already, and the search_path if another one is wanted. Undefined: nothing.
 */
export function definitionsToFit(
  contents: ArchiveContents,
  { freshDatabase, searchPath }: Pick<LoadOptions, 'freshDatabase' | 'searchPath'>,
  format: Archive['format'],
): RewriteDefinition | undefined {
  const withPublic = contents.createsPublic && freshDatabase === true;
  // A member of a tar cannot grow: its script is changed then.
  const path = format === 'tar' || searchPath === undefined ? undefined : `${setSearchPath(searchPath)}\n`;
  if (!withPublic && !contents.internalOptions && path === undefined) return undefined;
  return (entry) => {
    if (path !== undefined && setsEmptyPath(entry)) return path;
    if (withPublic && createsPublic(entry)) return withoutPublic(entry.definition?.toString('latin1') ?? '');
    return rewriteInternalOptions(entry)?.text;
  };
}
