import { Failure } from '../api/failure.ts';
import { aborted } from '../pipeline/aborted.ts';
import type { Bytes } from '../pipeline/bytes.ts';
import type { Connection } from './connection.ts';
import { decodeNames } from './decode-names.ts';
import { hideSetting } from './hide-setting.ts';
import { quoteName, quoteText } from './quote.ts';
import { readGlobals, type GlobalStatement, type RoleAttributes } from './read-globals.ts';

export interface LoadedGlobals {
  /** In the script's order. */
  readonly rolesCreated: readonly string[];
  /** What was left out, without passwords. */
  readonly notes: readonly string[];
}

/** Thousands of roles are a few megabytes. */
const maxBytes = 64 * 1024 * 1024;
const maxNotes = 12;

/**
 * Creates the roles of a script of pg_dumpall --globals-only that the server does not have: with attributes, passwords (if the
 * script has them), settings, comments and memberships. Roles that exist stay exactly as they are; a membership is granted when
 * one of its two roles is new. Tablespaces are left out, and so is what pg_dumpall does not write. Nothing of the script itself is
 * executed: statements are made anew from what was read. All in one transaction, after the script was read whole.
 * @param privileged also what gives power over more than the restored databases: who wrote the script would have it on this server
 * @throws Failure what `open` throws; PermissionDenied; RestoreFailed when a role cannot be created
 */
export async function loadGlobals(
  connection: Connection,
  open: (signal: AbortSignal) => Bytes,
  privileged: boolean,
  signal: AbortSignal,
): Promise<LoadedGlobals> {
  const statements = readGlobals(await readScript(open, signal));
  if (signal.aborted) throw aborted(signal);
  const notes: string[] = [];
  const existing = await connection.query<{ name: string }>('SELECT rolname AS name FROM pg_catalog.pg_roles');
  const there = new Set(existing.map(({ name }) => name));
  const rolesCreated: string[] = [];
  await connection.query('BEGIN');
  try {
    for (const { role, attributes } of wantedRoles(statements, there, notes)) {
      await createRole(connection, role, privileged ? attributes : withoutPower(role, attributes, notes));
      rolesCreated.push(role);
      there.add(role);
    }
    const serverMajor = await majorOf(connection);
    const rest = plan(statements, { created: new Set(rolesCreated), there, serverMajor, privileged });
    for (const { sql, what } of rest.steps) {
      const refused = await tryStep(connection, sql);
      if (refused === undefined) continue;
      rest.notes.push(`left out: ${what}: ${hideSetting({ statement: sql, error: refused.message }).error}`);
    }
    notes.push(...rest.notes);
    await connection.query('COMMIT');
  } catch (error) {
    await rollBack(connection);
    throw error;
  }
  return { rolesCreated, notes: capNotes(notes) };
}

async function readScript(open: (signal: AbortSignal) => Bytes, signal: AbortSignal): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of open(signal)) {
    length += chunk.length;
    if (length > maxBytes) throw new Failure('RestoreFailed', 'the script with the roles is larger than 64 MiB');
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  const encoding = /^SET client_encoding = '([^']+)';$/m.exec(bytes.subarray(0, 4096).toString('latin1'))?.[1];
  return decodeNames(encoding ?? 'UTF8')(bytes);
}

/** Missing roles with their attributes. One whose attributes cannot be read is not created: it would be another role. */
function wantedRoles(
  statements: readonly GlobalStatement[],
  there: ReadonlySet<string>,
  notes: string[],
): readonly { readonly role: string; readonly attributes: RoleAttributes }[] {
  const attributes = new Map(
    statements.flatMap((statement) =>
      statement.kind === 'attributes' ? [[statement.role, statement.attributes]] : [],
    ),
  );
  const missing = statements.flatMap((statement) =>
    statement.kind === 'create' && !there.has(statement.role) ? [statement.role] : [],
  );
  return [...new Set(missing)].flatMap((role) => {
    const found = attributes.get(role);
    if (found !== undefined) return [{ role, attributes: found }];
    notes.push(`left out: role ${show(role)}, whose attributes could not be read`);
    return [];
  });
}

const powers = ['SUPERUSER', 'CREATEROLE', 'REPLICATION', 'BYPASSRLS'];

function withoutPower(role: string, attributes: RoleAttributes, notes: string[]): RoleAttributes {
  const lost = attributes.flags.filter((flag) => powers.includes(flag));
  if (lost.length > 0) notes.push(`left out: ${lost.join(', ')} of role ${show(role)}: it needs privilegedGlobals`);
  return { ...attributes, flags: attributes.flags.filter((flag) => !powers.includes(flag)) };
}

/** Takes back what `loadGlobals` made, one by one. @returns those that cannot be dropped, because somebody uses them by now */
export async function dropRoles(connection: Connection, names: readonly string[]): Promise<readonly string[]> {
  const kept: string[] = [];
  for (const name of names) {
    try {
      await connection.query(`DROP ROLE IF EXISTS ${quoteName(name)}`);
    } catch (error) {
      if (!(error instanceof Failure) || error.consequence === 'retry') throw error;
      kept.push(name);
    }
  }
  return kept;
}

async function createRole(connection: Connection, role: string, attributes: RoleAttributes): Promise<void> {
  const { flags, connectionLimit, password, validUntil } = attributes;
  const words = [
    ...flags,
    ...(connectionLimit === undefined ? [] : [`CONNECTION LIMIT ${connectionLimit}`]),
    ...(password === undefined ? [] : [`PASSWORD ${quoteText(password)}`]),
    ...(validUntil === undefined ? [] : [`VALID UNTIL ${quoteText(validUntil)}`]),
  ];
  try {
    await connection.query(`CREATE ROLE ${quoteName(role)} ${words.join(' ')}`);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const reason = error.reason === 'Internal' ? 'RestoreFailed' : error.reason;
    throw new Failure(reason, `role ${show(role)} cannot be created: ${error.message}`, {
      hint: 'Create it by hand, or restore without options.globals.',
      cause: error,
    });
  }
}

interface Step {
  readonly sql: string;
  readonly what: string;
}

/** What follows for new roles. Each may be refused without harm to the others: settings of other versions, rights of fewer users. */
function plan(
  statements: readonly GlobalStatement[],
  roles: {
    readonly created: ReadonlySet<string>;
    readonly there: ReadonlySet<string>;
    readonly serverMajor: number;
    readonly privileged: boolean;
  },
): { readonly steps: readonly Step[]; readonly notes: string[] } {
  const { created, there } = roles;
  const steps: Step[] = [];
  const notes: string[] = [];
  for (const statement of statements) {
    switch (statement.kind) {
      case 'comment':
        if (created.has(statement.role)) {
          const sql = `COMMENT ON ROLE ${quoteName(statement.role)} IS ${quoteText(statement.text)}`;
          steps.push({ sql, what: `comment on role ${show(statement.role)}` });
        }
        break;
      case 'setting':
        if (created.has(statement.role)) {
          const values = statement.values.map(quoteText).join(', ');
          const sql = `ALTER ROLE ${quoteName(statement.role)} SET ${quoteName(statement.name)} TO ${values}`;
          steps.push({ sql, what: `setting ${show(statement.name)} of role ${show(statement.role)}` });
        }
        break;
      case 'parameter':
        if (created.has(statement.role) && !roles.privileged) {
          notes.push(
            `left out: right to set ${show(statement.name)} of role ${show(statement.role)}: it needs privilegedGlobals`,
          );
        } else if (created.has(statement.role)) {
          const grant = statement.grantable ? ' WITH GRANT OPTION' : '';
          const sql = `GRANT ${statement.privileges} ON PARAMETER ${quoteName(statement.name)} TO ${quoteName(statement.role)}${grant}`;
          steps.push({ sql, what: `right to set ${show(statement.name)} of role ${show(statement.role)}` });
        }
        break;
      case 'membership': {
        if (!created.has(statement.role) && !created.has(statement.member)) break;
        const what = `membership of ${show(statement.member)} in ${show(statement.role)}`;
        const missing = [statement.role, statement.member].find((role) => !there.has(role));
        const narrowed = statement.inherit === false || statement.set === false;
        if (missing !== undefined) notes.push(`left out: ${what}: there is no role ${show(missing)}`);
        else if (!roles.privileged && !created.has(statement.role)) {
          notes.push(`left out: ${what}, which was there before: it needs privilegedGlobals`);
        } else if (narrowed && roles.serverMajor < 16) notes.push(`left out: ${what}: this server cannot limit it`);
        else steps.push({ sql: membership(statement, roles.serverMajor), what });
        break;
      }
      case 'tablespace':
        notes.push(`left out: tablespace ${show(statement.name)}`);
        break;
      case 'unknown':
        notes.push(`left out: statement ${statement.head} …`);
        break;
      case 'create':
      case 'attributes':
      case 'ignored':
        break;
    }
  }
  return { steps, notes };
}

/** Granted by who restores: GRANTED BY names roles that may not be allowed to. Servers before 16 know only ADMIN OPTION. */
function membership(
  { role, member, admin, inherit, set }: Extract<GlobalStatement, { kind: 'membership' }>,
  serverMajor: number,
): string {
  const options = [
    ...(admin ? ['ADMIN OPTION'] : []),
    ...(inherit === undefined || serverMajor < 16 ? [] : [`INHERIT ${inherit ? 'TRUE' : 'FALSE'}`]),
    ...(set === undefined || serverMajor < 16 ? [] : [`SET ${set ? 'TRUE' : 'FALSE'}`]),
  ];
  const suffix = options.length === 0 ? '' : ` WITH ${options.join(', ')}`;
  return `GRANT ${quoteName(role)} TO ${quoteName(member)}${suffix}`;
}

async function majorOf(connection: Connection): Promise<number> {
  const [row] = await connection.query<{ major: number }>(
    `SELECT pg_catalog.current_setting('server_version_num')::int / 10000 AS major`,
  );
  return row?.major ?? 0;
}

/** Returns why the server refuses it; a lost connection is thrown. */
async function tryStep(connection: Connection, sql: string): Promise<Failure | undefined> {
  await connection.query('SAVEPOINT step');
  try {
    await connection.query(sql);
    await connection.query('RELEASE SAVEPOINT step');
    return undefined;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.reason !== 'Internal' && error.reason !== 'PermissionDenied') throw error;
    await connection.query('ROLLBACK TO SAVEPOINT step');
    return error;
  }
}

async function rollBack(connection: Connection): Promise<void> {
  try {
    await connection.query('ROLLBACK');
  } catch {
    // The connection is gone, and the transaction with it; the first error says why.
  }
}

function show(name: string): string {
  return name.replaceAll(/\s/g, ' ');
}

function capNotes(notes: readonly string[]): readonly string[] {
  if (notes.length <= maxNotes) return notes;
  return [...notes.slice(0, maxNotes), `and ${notes.length - maxNotes} more of the kind`];
}
