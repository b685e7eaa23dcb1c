import type { FailureReason } from '../api/reasons.ts';

/** One way in which a server refuses a dump: how pg_dump tells it, what it means, and what helped when it was tried. */
export interface DumpRefusal {
  readonly pattern: RegExp;
  readonly reason: FailureReason;
  readonly hint?: string;
}

const readAll =
  'Let the role read everything: GRANT pg_read_all_data TO the role (PostgreSQL 14 and later); or exclude what is named.';

/**
 * Texts of pg_dump, pg_dumpall and the server, of majors 15 to 18, by what is refused; the first that fits counts. What is said when
 * logging in stands in server-errors.ts.
 */
export const dumpRefusals: readonly DumpRefusal[] = [
  { pattern: /no matching (?:tables?|schemas?|extensions?) (?:was|were) found/, reason: 'SelectionEmpty' },
  { pattern: /server version mismatch/, reason: 'ProgramMissing' },
  {
    // Row security is switched off, so that nothing is left out silently; then the server refuses.
    pattern: /would be affected by row-level security policy/,
    reason: 'PermissionDenied',
    hint: 'Row security would hide rows from the role: ALTER ROLE … BYPASSRLS, or back up as the owner of the table (unless it has FORCE ROW LEVEL SECURITY).',
  },
  {
    pattern: /permission denied for large object/,
    reason: 'PermissionDenied',
    hint: 'pg_read_all_data does not cover large objects: GRANT SELECT ON LARGE OBJECT … TO the role for each, or ALTER DATABASE … SET lo_compat_privileges = on as a superuser, or leave them out (dump.largeObjects: false).',
  },
  {
    // Since 18 it reads all sequences at once, and those that it may not read have no values.
    pattern: /permission denied for sequence|failed to get data for sequence "[^\n]*"; user may lack SELECT privilege/,
    reason: 'PermissionDenied',
    hint: `SELECT on tables does not include sequences. ${readAll}`,
  },
  {
    pattern: /permission denied for (?:table pg_authid|relation pg_authid)/,
    reason: 'PermissionDenied',
    hint: 'Password hashes are read by superusers only: leave dump.rolePasswords false, or back up as a superuser.',
  },
  {
    pattern: /permission denied for (?:table|relation|view|schema|materialized view|foreign table)/,
    reason: 'PermissionDenied',
    hint: readAll,
  },
  {
    pattern: /permission denied to set parameter/,
    reason: 'PermissionDenied',
    hint: 'GRANT SET ON PARAMETER … TO the role, or let a pooler not pass it on.',
  },
  { pattern: /permission denied|must be (?:superuser|owner)/, reason: 'PermissionDenied' },
  { pattern: /canceling statement due to lock timeout|could not obtain lock on/, reason: 'LockTimeout' },
  {
    pattern:
      /canceling statement due to (?:statement|transaction) timeout|terminating connection due to transaction timeout/,
    reason: 'LockTimeout',
    hint: 'A timeout of the server ended the dump’s query: ALTER ROLE … SET statement_timeout = 0 (and transaction_timeout) for the role of the backup.',
  },
  { pattern: /canceling statement due to user request/, reason: 'QueryCanceled' },
  {
    pattern: /out of shared memory|You might need to increase "?max_(?:locks_per_transaction|pred_locks)/,
    reason: 'LockTableFull',
  },
  {
    pattern: /too many connections for (?:role|database)/,
    reason: 'ServerUnreachable',
    hint: 'Raise the limit: ALTER ROLE … CONNECTION LIMIT, or ALTER DATABASE … CONNECTION LIMIT.',
  },
  {
    pattern: /could not access file "|could not load library "|could not open extension control file/,
    reason: 'ExtensionMissing',
  },
  { pattern: /No space left on device|disk full|Disk quota exceeded/, reason: 'DiskFull' },
  {
    pattern:
      /invalid page in block|could not read blocks? |missing chunk number|unexpected chunk (?:number|size)|compressed (?:pglz|lz4) data is corrupt|could not access status of transaction|could not open file "(?:base|global|pg_tblspc|pg_xact|pg_multixact)\/|page verification failed/,
    reason: 'DatabaseCorrupted',
  },
  {
    pattern:
      /invalid memory alloc request size|Cannot enlarge string buffer|string buffer exceeds maximum allowed length/,
    reason: 'DumpFailed',
    hint: 'A value is larger than the server can print (1 GB as text): leave the table’s rows out (dump.excludeTableData) and save them otherwise.',
  },
];

export function findRefusal(text: string): DumpRefusal | undefined {
  return dumpRefusals.find(({ pattern }) => pattern.test(text));
}
