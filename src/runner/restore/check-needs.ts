import { Failure } from '../../api/failure.ts';
import type { RestoreTask } from '../../domain/task.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { ArchiveEntry } from '../../postgres/load-types.ts';
import { parseAclItem } from '../../postgres/acl-item.ts';
import { findMissingExtensions, findMissingRoles } from '../../postgres/target-rights.ts';
import type { RestoreInput } from './source.ts';

export interface Needs {
  readonly input: Pick<RestoreInput, 'facts'>;
  /** What is restored of the archive; undefined: a script, whose needs nobody knows before it runs. */
  readonly entries: readonly ArchiveEntry[] | undefined;
}

type Wishes = Pick<RestoreTask, 'options' | 'select' | 'mode'>;

/** @throws Failure ExtensionMissing with all that the server cannot give */
export async function checkExtensions(needs: readonly Needs[], task: Wishes, connection: Connection): Promise<void> {
  const { schemas, tables, dataOnly } = task.select;
  // A selection leaves extensions out.
  if (dataOnly || schemas !== undefined || tables !== undefined) return;
  const wanted = new Set(
    needs.flatMap(({ input, entries }) => [
      ...(input.facts?.extensions.map(({ name }) => name) ?? []),
      ...(entries?.filter(({ type }) => type === 'EXTENSION').map(({ name }) => name) ?? []),
    ]),
  );
  const missing = await findMissingExtensions(connection, [...wanted]);
  if (missing.length === 0) return;
  throw new Failure('ExtensionMissing', `the server does not have the extensions: ${missing.join(', ')}`, {
    hint: 'install their packages on the server',
  });
}

/**
 * What can be told before the load; a grant that only the archive's text knows is found there.
 * @throws Failure RoleMissing with all roles that do not exist
 */
export async function checkRoles(needs: readonly Needs[], task: Wishes, connection: Connection): Promise<void> {
  const { noOwner, noPrivileges } = task.options;
  const wanted = new Set<string>();
  for (const { input, entries } of needs) {
    const owners = ownersOf(entries);
    if (!noOwner) for (const owner of owners) wanted.add(owner);
    // With a selection, or without owners, it is not known which of the others count.
    if (noOwner || noPrivileges || hasSelection(task)) continue;
    const { facts } = input;
    const onlyOnDatabase = new Set([
      facts?.owner,
      ...(facts?.acl ?? []).flatMap(parseAclItem).map(({ grantee }) => grantee),
    ]);
    for (const role of facts?.roles ?? []) if (!onlyOnDatabase.has(role)) wanted.add(role);
  }
  const missing = await findMissingRoles(connection, [...wanted]);
  if (missing.length === 0) return;
  const shown = missing.slice(0, 30).map((role) => `"${role}"`);
  const more = missing.length > shown.length ? ` and ${missing.length - shown.length} more` : '';
  throw new Failure('RoleMissing', `the server does not have the roles: ${shown.join(', ')}${more}`, {
    hint: 'create them, set options.globals, or set options.noOwner and options.noPrivileges',
  });
}

function hasSelection({ select }: Wishes): boolean {
  return select.schemas !== undefined || select.tables !== undefined || select.dataOnly;
}

function ownersOf(entries: readonly ArchiveEntry[] | undefined): readonly string[] {
  // Rows have owners in the list, too, but nobody is made their owner.
  return (entries ?? []).flatMap(({ type, owner }) =>
    owner === undefined || owner === '' || type === 'TABLE DATA' ? [] : [owner],
  );
}
