import { rewriteInternalOptions } from './internal-options.ts';
import type { ArchiveContents, LoadOptions } from './load-types.ts';
import { createsPublic, withoutPublic } from './public-schema.ts';
import type { RewriteDefinition } from './rewrite-definitions.ts';

/**
 * What of an archive's definitions has to be changed before pg_restore sees it: options that only some servers know, and the creation of
 * the schema public, which a new database has already. Undefined: nothing.
 */
export function definitionsToFit(
  contents: ArchiveContents,
  { freshDatabase }: Pick<LoadOptions, 'freshDatabase'>,
): RewriteDefinition | undefined {
  const withPublic = contents.createsPublic && freshDatabase === true;
  if (!withPublic && !contents.internalOptions) return undefined;
  return (entry) =>
    withPublic && createsPublic(entry)
      ? withoutPublic(entry.definition?.toString('latin1') ?? '')
      : rewriteInternalOptions(entry)?.text;
}
