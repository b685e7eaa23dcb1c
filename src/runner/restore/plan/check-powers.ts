import { Failure } from '../../../api/failure.ts';
import type { LeavableKind } from '../../../api/restore-options.ts';
import type { ArchiveEntry } from '../../../postgres/load-types.ts';
import { readRights } from '../../../postgres/target-rights.ts';
import { hasLabelProvider, mayDo, type Power } from '../../../postgres/try-powers.ts';
import type { OpenTarget } from '../target/open-target.ts';
import type { LoadWanted } from '../wanted.ts';
import type { PreparedInput } from './prepare-input.ts';

const mostNames = 10;
/** What a new database has from its template: it belongs to whoever made the server. */
const templateExtension = 'plpgsql';

const powers: Readonly<Record<Power, { readonly what: string; readonly needs: (entry: ArchiveEntry) => boolean }>> = {
  eventTriggers: { what: 'create event triggers', needs: ({ type }) => type === 'EVENT TRIGGER' },
  publications: {
    what: 'create publications for all tables, or for all of a schema',
    needs: ({ type, forAllTables }) => forAllTables === true || type === 'PUBLICATION TABLES IN SCHEMA',
  },
  subscriptions: { what: 'create subscriptions', needs: ({ type }) => type === 'SUBSCRIPTION' },
};

/**
 * What of the archives the server cannot take, or not from this user, and which member of `options.without` leaves it out.
 * @throws Failure ExtensionMissing (a provider of security labels), PermissionDenied
 */
export async function checkPowers(
  inputs: readonly Pick<PreparedInput, 'plan' | 'entries'>[],
  wanted: Pick<LoadWanted, 'select' | 'mode' | 'options'>,
  target: Pick<OpenTarget, 'session' | 'connect'>,
  signal: AbortSignal,
): Promise<void> {
  if (wanted.select.dataOnly) return;
  const { session } = target;
  const entries = inputs.flatMap((input) => input.entries ?? []);
  const providers = new Set(entries.flatMap(({ provider }) => provider ?? []));
  for (const provider of providers) {
    if (await hasLabelProvider(session, provider)) continue;
    const said = `the server has no provider "${provider}" of security labels`;
    throw new Failure('ExtensionMissing', said, { hint: helps('load the module that has it', 'securityLabels') });
  }
  const { superuser, user } = await readRights(session);
  if (superuser) return;
  for (const power of ['eventTriggers', 'publications', 'subscriptions'] as const) {
    const { what, needs } = powers[power];
    const wanted = entries.filter(needs).map(({ name }) => name);
    if (wanted.length > 0 && !(await mayDo(session, power))) throw denied(user, `${what}: ${list(wanted)}`, power);
  }
  for (const { plan, entries: own } of inputs) {
    const commented = (own ?? []).flatMap(({ type, name }) =>
      type === 'COMMENT' && name.startsWith('EXTENSION ') ? [name.slice('EXTENSION '.length)] : [],
    );
    if (commented.length === 0) continue;
    const foreign =
      wanted.mode === 'InPlace'
        ? await findForeignExtensions(commented, plan.target, target, signal)
        : commented.filter((name) => name === templateExtension);
    if (foreign.length > 0) throw denied(user, `comment on extensions of others: ${list(foreign)}`, 'comments');
  }
}

/** Those that are there and belong to somebody else. */
async function findForeignExtensions(
  names: readonly string[],
  database: string,
  target: Pick<OpenTarget, 'session' | 'connect'>,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const connection = await target.connect(database, signal);
  try {
    const rows = await connection.query<{ name: string }>(
      `SELECT extname::text AS name FROM pg_extension WHERE extname = ANY ($1) AND NOT pg_has_role(extowner, 'USAGE')`,
      [names],
    );
    return rows.map(({ name }) => name);
  } finally {
    await connection.close();
  }
}

function denied(user: string, what: string, kind: LeavableKind): Failure {
  const hint = helps('restore as a superuser', kind);
  return new Failure('PermissionDenied', `the user "${user}" may not ${what}`, { hint });
}

function helps(first: string, kind: LeavableKind): string {
  return `${first}, or set options.without: [${kind}]`;
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, mostNames).map((name) => `"${name.replaceAll(/\s/g, ' ')}"`);
  return `${shown.join(', ')}${names.length > mostNames ? ` and ${names.length - mostNames} more` : ''}`;
}
