import { Failure } from '../api/failure.ts';
import type { FailureReason } from '../api/reasons.ts';
import { redact, reasonOfLoad, shorten, withoutLiterals, hintOfLoad, type LoadSubject } from './classify-load-end.ts';
import { hideDetail, hideValues } from './hide-values.ts';
import { StatementError } from './statement-error.ts';

/** Where in a script it happened. */
export interface StatementPlace {
  readonly line: number;
  readonly entry: string | undefined;
  readonly text: readonly Uint8Array[];
}

/** What SQLSTATE alone tells. Its text is asked for the rest (extensions and roles share theirs with everything else). */
const codes: Readonly<Record<string, FailureReason | undefined>> = {
  // Everything that is there already.
  '42701': 'ObjectConflict',
  '42710': 'ObjectConflict',
  '42712': 'ObjectConflict',
  '42723': 'ObjectConflict',
  '42P03': 'ObjectConflict',
  '42P05': 'ObjectConflict',
  '42P06': 'ObjectConflict',
  '42P07': 'ObjectConflict',
  '23505': 'ObjectConflict',
  '2BP01': 'ObjectConflict',
  '42501': 'PermissionDenied',
  '53100': 'DiskFull',
  '55P03': 'LockTimeout',
  '55006': 'TargetBusy',
  '40001': 'TargetBusy',
  '40P01': 'TargetBusy',
  '25P04': 'LockTimeout',
};

/** What a connection says of itself. In an ERROR these are words of the script: dblink's, or of a RAISE. */
const ofConnections: ReadonlySet<FailureReason> = new Set([
  'ConnectionLost',
  'ServerUnreachable',
  'AuthenticationFailed',
  'DatabaseMissing',
  'DatabaseClosed',
  'TlsFailed',
]);

const longestHead = 4096;

/** What it means that a statement failed. The message has the server's words, the line, the entry, and the statement's head without literals. */
export function classifyStatement(error: unknown, about: LoadSubject, place: StatementPlace | undefined): unknown {
  if (!(error instanceof StatementError)) return error;
  const { code, message, detail, severity } = error;
  const text = `${severity}:  ${message}`;
  const reason = reasonOf(code, `${text}\n${detail}`, about);
  const added = shorten(redact(hideDetail(detail, code)), 200);
  const shown = `${shorten(redact(hideValues(text)), 500)}${added === '' ? '' : ` (${added})`}`;
  const hint = hintOfLoad(reason, `${text}\n${detail}`);
  return new Failure(reason, `${about.subject} failed: ${shown}${where(place)}`, {
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  });
}

function reasonOf(code: string, text: string, about: LoadSubject): FailureReason {
  const known = codes[code];
  if (known !== undefined) return known;
  const reason = reasonOfLoad(text, about);
  return ofConnections.has(reason) ? 'RestoreFailed' : reason;
}

function where(place: StatementPlace | undefined): string {
  if (place === undefined) return '';
  const head = Buffer.concat(place.text.map((piece) => piece.subarray(0, longestHead)).slice(0, 2)).subarray(
    0,
    longestHead,
  );
  const statement = shorten(withoutLiterals(firstLine(head.toString('utf8'))), 160);
  return ` (line ${place.line}${place.entry === undefined ? '' : `, ${shorten(place.entry, 120)}`}, in: ${statement})`;
}

function firstLine(text: string): string {
  return text.split(/[\r\n]/, 1)[0] ?? '';
}
