import { Failure } from '../api/failure.ts';
import type { FailureReason } from '../api/reasons.ts';
import type { LeavableKind } from '../api/restore-options.ts';
import type { CommandEnd } from '../pipeline/command.ts';
import { boundHint } from './bound-extension.ts';
import { hideValues } from './hide-values.ts';
import { classifyProgramEnd, reasonOfText } from './server-errors.ts';

export interface LoadSubject {
  /** Begins the message, such as `pg_restore into database "a"`. */
  readonly subject: string;
  /** What a damaged archive is called. */
  readonly damaged: 'BackupDamaged' | 'FileDamaged';
  /** The archive comes from a newer major than the server's: what the server does not know is then no surprise. */
  readonly fromNewer?: boolean;
}

type Texts = readonly (readonly [RegExp, FailureReason])[];

/** What the archive itself makes pg_restore say. Texts of 15 to 18. */
const damage =
  /could not read from input file|did not find magic string|does not appear to be a valid archive|corrupt tar header|could not find header for file|could not uncompress data|could not decompress data|could not read (?:compressed )?(?:file|data)\b|unrecognized data block type|found unexpected block ID|could not find block ID|entry ID \S+ out of range|unexpected (?:end of file|data offset flag)|unrecognized file format|invalid (?:line|number of fields) in (?:LO|large object) TOC|error during (?:file seek|decompression)|expected format \(\S+\) differs|archive items? not in correct section order|invalid OID for large object|toc\.dat" does not|could not open (?:input file|TOC file) "/;

/** What a server says that was built without ICU, lz4 or XML. */
const notBuilt =
  /ERROR: {2}(?:ICU is not supported in this build|compression method \w+ not supported|unsupported XML feature)/;

/** What the server says by pg_restore, or to a script, where it means something else than for a dump. Before those of a dump. */
const loading: Texts = [
  [/unsupported version \([^)]*\) in file header/, 'ProgramMissing'],
  [/does not support compression|compression is not supported by this installation/, 'ProgramMissing'],
  [
    /extension "[^\n]*" is not available|could not open extension control file|extension "[^\n]*" has no (?:installation script|update path)|required extension "[^\n]*" is not installed|ERROR: {2}extension "[^\n]*" does not exist|could not access file "\$libdir|could not load library|must be loaded via (?:"?shared_preload_libraries|shared)/,
    'ExtensionMissing',
  ],
  [notBuilt, 'VersionUnsupported'],
  [/ERROR: {2}tablespace "[^\n]*" does not exist|Tablespace "[^\n]*" does not exist/, 'TablespaceMissing'],
  [/ERROR: {2}role "[^\n]*" does not exist/, 'RoleMissing'],
  [
    /ERROR: {2}[^\n]* already exists|ERROR: {2}duplicate key value violates unique constraint|ERROR: {2}multiple primary keys for table|ERROR: {2}cannot drop [^\n]* because other objects depend on it|ERROR: {2}cannot drop inherited constraint/,
    'ObjectConflict',
  ],
  [/is being accessed by other users|deadlock detected|could not serialize access/, 'TargetBusy'],
  [/must be able to SET ROLE|must be member of role|must have (?:CREATE|admin|the)/, 'PermissionDenied'],
];

/** What an older server says of statements that it does not know. */
const unknown =
  /ERROR: {2}(?:syntax error at or near|unrecognized |specifying |invalid locale provider|[^\n]* (?:is|are) not supported|[^\n]*\bpg_catalog\.[^\n]* does not exist)/;

/** pg_restore --clean drops the keys of partitions one by one, which the server refuses (15 to 18). */
const partitionHint = 'Partitioned tables with keys cannot be cleaned: drop them, or use mode Replace.';

/** Of a common user, PostgreSQL asks that who gets a thing could have made it there. */
const ownerHint =
  'Who is to own it needs CREATE on the schema (beforeSql: [GRANT CREATE ON SCHEMA … TO …]); or set options.noOwner.';

/** What a member of `options.without` helps against. */
const leavables: readonly (readonly [RegExp, LeavableKind])[] = [
  [/must be owner of extension/, 'comments'],
  [/permission denied to create event trigger/, 'eventTriggers'],
  [
    /must be superuser to (?:create (?:a )?FOR ALL TABLES|add or set schemas|create FOR TABLES IN SCHEMA)/,
    'publications',
  ],
  [/must be superuser to create subscriptions|permission denied to create subscription/, 'subscriptions'],
  [/security label provider "[^\n]*" is not loaded|no security label providers/, 'securityLabels'],
  [/permission denied to create extension|must be superuser to create (?:this )?extension/, 'extensions'],
];

const hints: Partial<Record<FailureReason, string>> = {
  DiskFull: 'Make room on the server’s disk; a restore beside the target needs as much as the target.',
};

/** Errors that damaged rows or statements could be the cause of. */
const perhapsDamage =
  /COPY |invalid (?:input|byte|UTF)|missing data for column|extra data after last|unterminated|syntax error|out of memory|end-of-copy|literal (?:newline|carriage return)|violates|could not create unique index/;

/** Whether it pays to read the archive to its end, because its hashes may tell a better reason. */
export function mayBeDamage(failure: Failure): boolean {
  return (
    failure.reason === 'BackupDamaged' ||
    failure.reason === 'FileDamaged' ||
    (failure.reason === 'RestoreFailed' && perhapsDamage.test(failure.message))
  );
}

/** What a bad end of pg_restore means. The message has the first error and the head of its statement, without literals. */
export function classifyLoadEnd(end: CommandEnd, about: LoadSubject): Failure {
  const { subject, damaged } = about;
  if (end.kind !== 'exit') return classifyProgramEnd(end, subject, 'RestoreFailed');
  const { error, more, statement } = firstError(end.stderrTail);
  if (error === '') return classifyProgramEnd(end, subject, 'RestoreFailed');
  const whole = `${error}\n${more}`;
  const reason = reasonOfLoad(whole, about);
  const shown = shorten(redact(hideValues(error)), 500);
  const where = statement === '' ? '' : ` (in: ${statement})`;
  const hint = hintOfLoad(reason, end.stderrTail);
  const text =
    reason === damaged ? `${subject} cannot read the archive: ${shown}` : `${subject} failed: ${shown}${where}`;
  return new Failure(reason, text, { cause: new Error(redact(whole)), ...(hint === undefined ? {} : { hint }) });
}

export function hintOfLoad(reason: FailureReason, text: string): string | undefined {
  if (hints[reason] !== undefined) return hints[reason];
  if (/cannot drop inherited constraint/.test(text)) return partitionHint;
  if (/can only create extension in database /.test(text)) return boundHint;
  if (/permission denied for schema [^]* OWNER TO /.test(text)) return ownerHint;
  if (notBuilt.test(text)) return 'Restore to a server that was built with it, as the one was that it came from.';
  const leavable = leavables.find(([pattern]) => pattern.test(text))?.[1];
  return leavable === undefined ? undefined : `options.without: [${leavable}] leaves such out.`;
}

/** `text` begins with what is wrong, such as `ERROR:  role "x" does not exist`. */
export function reasonOfLoad(text: string, { damaged, fromNewer }: LoadSubject): FailureReason {
  const known = loading.find(([pattern]) => pattern.test(text))?.[1];
  if (known !== undefined) return known;
  // The server's words may hold any text of the database; the archive's damage is pg_restore's own word.
  if (!/\b(?:ERROR|FATAL|PANIC): /.test(text) && damage.test(text)) return damaged;
  const general = reasonOfText(text);
  if (general !== undefined) return general;
  return fromNewer === true && unknown.test(text) ? 'VersionUnsupported' : 'RestoreFailed';
}

const prefix = /^(?:pg_restore: (?:error|fatal|\[[^\]]*\]): )/;
const isError = /^pg_restore: (?:error|fatal|\[[^\]]*\]): |\b(?:ERROR|FATAL|PANIC): /;

/** `more`: what the server or libpq added to the error; `statement`: head of what was run, if told. */
function firstError(stderr: string): { readonly error: string; readonly more: string; readonly statement: string } {
  const lines = stderr.split('\n').map((line) => line.trimEnd());
  let at = lines.findIndex((line) => isError.test(line));
  if (at < 0) at = lines.findLastIndex((line) => line !== '');
  if (at < 0) return { error: '', more: '', statement: '' };
  const rest = lines.slice(at + 1);
  const end = rest.findIndex((line) =>
    /^(?:Command was: |LINE \d+: |CONTEXT: |QUERY: |STATEMENT: |pg_restore: )/.test(line),
  );
  const more = rest.slice(0, end < 0 ? rest.length : end);
  const statement = rest.find((line) => /^(?:Command was|LINE \d+): /.test(line)) ?? '';
  const continued = (more[0] ?? '').startsWith('\t') ? ` ${(more[0] ?? '').trim()}` : '';
  return {
    error: `${(lines[at] ?? '').replace(prefix, '')}${continued}`,
    more: more.join('\n'),
    statement: shorten(withoutLiterals(statement.replace(/^[^:]*: /, '')), 160),
  };
}

/** Literals of a statement may be passwords, connection strings or somebody's rows; what an INSERT has behind VALUES is. */
export function withoutLiterals(statement: string): string {
  return redact(
    statement
      .replace(/^(\s*INSERT\b.*?\bVALUES)\b.*$/i, '$1 …')
      .replaceAll(/'(?:[^']|'')*(?:'|$)/g, "'…'")
      .replaceAll(/(\$\w*\$).*$/g, '$1…'),
  );
}

export function redact(text: string): string {
  return text
    .replaceAll(/\b(password\s*[=:]?\s*)'(?:[^']|'')*(?:'|$)/gi, "$1'…'")
    .replaceAll(/\b(password\s*=\s*)[^\s'…]+/gi, '$1…')
    .replaceAll(/\b(postgres(?:ql)?:\/\/)[^\s@/]*@/gi, '$1…@')
    .replaceAll(/SCRAM-SHA-256\$[^\s'"]+|\bmd5[0-9a-f]{32}\b/g, '…');
}

export function shorten(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
