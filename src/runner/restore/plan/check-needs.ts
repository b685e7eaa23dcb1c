import { Failure } from '../../../api/failure.ts';
import { boundHint, findBound } from '../../../postgres/bound-extension.ts';
import type { Connection } from '../../../postgres/connection.ts';
import type { ArchiveEntry } from '../../../postgres/load-types.ts';
import { parseAclItem } from '../../../postgres/acl-item.ts';
import { findMissingExtensions, findMissingRoles, findMissingTablespaces } from '../../../postgres/target-rights.ts';
import type { LoadWanted } from '../wanted.ts';
import type { RestoreInput } from '../source/source.ts';

export interface Needs {
  readonly input: Pick<RestoreInput, 'facts'>;
  /** What is restored of the archive; undefined: a script, whose needs nobody knows before it runs. */
  readonly entries: readonly ArchiveEntry[] | undefined;
}

const mostNames = 30;

type BoundNeeds = Pick<Needs, 'entries'> & { readonly plan: { readonly target: string } };
type Wishes = Pick<LoadWanted, 'options' | 'select' | 'mode'>;

/** @throws Failure ExtensionMissing with all that the server cannot give */
export async function checkExtensions(needs: readonly Needs[], load: Wishes, connection: Connection): Promise<void> {
  if (load.select.dataOnly || load.options.without?.includes('extensions') === true) return;
  // Of a selection only what it creates counts; else all that the database had: a dump of some schemas creates no extension.
  const selects = hasSelection(load);
  const wanted = new Set(
    needs.flatMap(({ input, entries }) => [
      ...extensionsOf(entries),
      ...(selects ? [] : (input.facts?.extensions ?? []).map(({ name }) => name)),
    ]),
  );
  const missing = await findMissingExtensions(connection, [...wanted]);
  if (missing.length === 0) return;
  throw new Failure('ExtensionMissing', `the server does not have the extensions: ${missing.join(', ')}`, {
    hint: 'install their packages on the server, or set options.without: [extensions] if nothing needs them',
  });
}

/** In place a database keeps its name. @throws Failure ExtensionMissing with the way round */
export async function checkBound(needs: readonly BoundNeeds[], load: Wishes, connection: Connection): Promise<void> {
  if (load.mode !== 'InPlace' || load.select.dataOnly) return;
  for (const { plan, entries } of needs) {
    const home = await findBound(connection, extensionsOf(entries));
    if (home === undefined || home === plan.target) continue;
    const said = `pg_cron goes into the database "${home}" of this server, and not into "${plan.target}"`;
    throw new Failure('ExtensionMissing', said, { hint: boundHint });
  }
}

/**
 * Of what is selected.
 * @throws Failure TablespaceMissing with all that the server does not have
 */
export async function checkTablespaces(needs: readonly Needs[], load: Wishes, connection: Connection): Promise<void> {
  if (load.select.dataOnly || load.options.without?.includes('tablespaces') === true) return;
  const wanted = new Set(needs.flatMap(({ entries }) => (entries ?? []).flatMap(({ tablespace }) => tablespace ?? [])));
  const missing = await findMissingTablespaces(connection, [...wanted]);
  if (missing.length === 0) return;
  const what = missing.length === 1 ? `tablespace ${list(missing)} does` : `tablespaces ${list(missing)} do`;
  throw new Failure('TablespaceMissing', `the ${what} not exist on the server`, {
    hint: 'create them, or set options.without: [tablespaces], which puts everything into the default one',
  });
}

/**
 * What can be told before the load; a grant that only the archive's text knows is found there.
 * @throws Failure RoleMissing with all roles that do not exist
 */
export async function checkRoles(needs: readonly Needs[], load: Wishes, connection: Connection): Promise<void> {
  const { noOwner, noPrivileges } = load.options;
  const wanted = new Set<string>();
  for (const { input, entries } of needs) {
    const owners = ownersOf(entries);
    if (!noOwner) for (const owner of owners) wanted.add(owner);
    // With a selection, or without owners, it is not known which of the others count.
    if (noOwner || noPrivileges || hasSelection(load)) continue;
    const { facts } = input;
    const onlyOnDatabase = new Set([
      facts?.owner,
      ...(facts?.acl ?? []).flatMap(parseAclItem).map(({ grantee }) => grantee),
    ]);
    for (const role of facts?.roles ?? []) if (!onlyOnDatabase.has(role)) wanted.add(role);
  }
  const missing = await findMissingRoles(connection, [...wanted]);
  if (missing.length === 0) return;
  throw new Failure('RoleMissing', `the server does not have the roles: ${list(missing)}`, {
    hint: 'create them, set options.globals, or set options.noOwner and options.noPrivileges',
  });
}

/** Names of those that are created. */
export function extensionsOf(entries: readonly ArchiveEntry[] | undefined): readonly string[] {
  return (entries ?? []).flatMap(({ type, name }) => (type === 'EXTENSION' ? [name] : []));
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, mostNames).map((name) => `"${name}"`);
  const more = names.length > shown.length ? ` and ${names.length - shown.length} more` : '';
  return `${shown.join(', ')}${more}`;
}

function hasSelection({ select }: Wishes): boolean {
  const { schemas, tables, excludeSchemas, excludeTables, dataOnly } = select;
  return dataOnly || [schemas, tables, excludeSchemas, excludeTables].some((names) => names !== undefined);
}

function ownersOf(entries: readonly ArchiveEntry[] | undefined): readonly string[] {
  // Rows have owners in the list, too, but nobody is made their owner.
  return (entries ?? []).flatMap(({ type, owner }) =>
    owner === undefined || owner === '' || type === 'TABLE DATA' ? [] : [owner],
  );
}
