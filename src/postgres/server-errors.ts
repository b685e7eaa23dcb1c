import { Failure } from '../api/failure.ts';
import type { FailureReason } from '../api/reasons.ts';
import type { CommandEnd } from '../pipeline/command.ts';
import { findRefusal } from './dump-refusals.ts';
import { errorText } from './program-messages.ts';

/** SQLSTATE, or its class of two characters, to reason. The longest match counts. */
const sqlstates: Readonly<Record<string, FailureReason | undefined>> = {
  '08': 'ConnectionLost',
  '28': 'AuthenticationFailed',
  '3D000': 'DatabaseMissing',
  '42501': 'PermissionDenied',
  '53': 'ServerUnreachable',
  '53100': 'DiskFull',
  '55P03': 'LockTimeout',
  '57014': 'LockTimeout',
  '57P01': 'ConnectionLost',
  '57P02': 'ConnectionLost',
  // "the database system is starting up": as good as not there yet.
  '57P03': 'ServerUnreachable',
  '57P04': 'DatabaseMissing',
  '57P05': 'ConnectionLost',
};

/**
 * Texts of libpq and the server about connections, in the order in which they are tried; before those of dump-refusals.ts. Messages
 * of the server are in English unless its lc_messages says otherwise: then the reason is the general one, and the text is still there.
 */
const texts: readonly (readonly [RegExp, FailureReason])[] = [
  [
    /password authentication failed|authentication failed for user|no pg_hba\.conf entry|pg_hba\.conf rejects|no password supplied|role "[^\n]*" does not exist|is not permitted to log in|requires a valid client certificate|requirement failed: server requested/,
    'AuthenticationFailed',
  ],
  [/FATAL: {2}(?:database "[^\n]*" does not exist|no such database)/, 'DatabaseMissing'],
  [/is not currently accepting connections|cannot connect to invalid database/, 'DatabaseClosed'],
  [/due to conflict with recovery/, 'RecoveryConflict'],
  [
    /server does not support SSL|certificate verify failed|server certificate for "[^\n]*" does not match host name|server certificate for "[^\n]*" \(and|host name must be specified for a verified SSL|could not get server's host name from server certificate|root certificate file|could not (?:load|read) (?:root )?certificate file|could not load private key file|SSL error: (?!unexpected eof|[^\n]*bad record mac|[^\n]*bad decrypt)|no (?:relevant )?certificate/,
    'TlsFailed',
  ],
  [
    /could not translate host name|Connection refused|timeout expired|No route to host|Network is unreachable|Connection timed out\b[^\n]*Is the server running|the database system is (?:starting up|not yet accepting|in recovery)|not accepting connections|too many clients already|remaining connection slots|No such file or directory\s+Is the server running/,
    'ServerUnreachable',
  ],
  [
    /server closed the connection unexpectedly|terminating connection|SSL SYSCALL error|SSL error: |connection to server was lost|Connection reset by peer|Connection timed out|could not receive data from server|could not send data to server|no connection to the server|the database system is shutting down|lost synchronization with server/,
    'ConnectionLost',
  ],
  // pg_dumpall keeps the cause to itself. Whoever starts it has been connected just before, so time may heal it; if not, the
  // next run's own connection tells the cause.
  [/could not connect to database/, 'ServerUnreachable'],
];

export function reasonOfSqlstate(code: string): FailureReason | undefined {
  return sqlstates[code] ?? sqlstates[code.slice(0, 2)];
}

export function reasonOfText(text: string): FailureReason | undefined {
  return texts.find(([pattern]) => pattern.test(text))?.[1] ?? findRefusal(text)?.reason;
}

/**
 * What a bad end of pg_dump, pg_dumpall or pg_restore means. `subject` starts the message (`pg_dump of database "a"`);
 * `otherwise` is the reason when the text tells nothing better. The environment must say LC_MESSAGES=C.
 */
export function classifyProgramEnd(end: CommandEnd, subject: string, otherwise: FailureReason): Failure {
  if (end.kind === 'spawn') {
    return new Failure('ProgramMissing', `${end.program} could not be started: ${end.error.message}`, {
      cause: end.error,
    });
  }
  if (end.kind === 'signal') {
    return new Failure(otherwise, `${subject} was killed by ${end.signalName}`, {
      hint: 'If the pod ran out of memory, raise runner.resources.limits.memory.',
    });
  }
  const text = errorText(end.stderrTail);
  // What a shell, env or stdbuf says when there is no such program.
  if (text.line === '' && (end.exitCode === 126 || end.exitCode === 127)) {
    return new Failure('ProgramMissing', `${subject}: the program cannot be run (exit code ${end.exitCode})`);
  }
  const reason = reasonOfText(text.whole) ?? otherwise;
  const hint = findRefusal(text.whole)?.hint;
  const what = text.line === '' ? ' without a word' : `: ${text.line}`;
  const detail = text.detail === '' ? '' : ` (${text.detail})`;
  const message = `${subject} failed with exit code ${end.exitCode}${what}${detail}`;
  return new Failure(reason, message, hint === undefined ? {} : { hint });
}
