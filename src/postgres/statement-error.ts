import { readTexts } from './server-messages.ts';

/** What the server says against a statement. */
export class StatementError extends Error {
  /** In English, whatever lc_messages is: ERROR, FATAL or PANIC. */
  readonly severity: string;
  readonly code: string;
  readonly detail: string;
  readonly where: string;
  /** In characters of the statement, from 1; 0: not told. */
  readonly position: number;

  constructor(fields: ReadonlyMap<string, string>) {
    super(fields.get('M') ?? 'an error without a word');
    this.name = 'StatementError';
    this.severity = fields.get('V') ?? fields.get('S') ?? 'ERROR';
    this.code = fields.get('C') ?? '';
    this.detail = fields.get('D') ?? '';
    this.where = fields.get('W') ?? '';
    this.position = Number(fields.get('P') ?? 0);
  }
}

export function readStatementError(body: Uint8Array, decode: (bytes: Uint8Array) => string): StatementError {
  const fields = readTexts(body)
    .filter((text) => text.length > 0)
    .map((text) => [String.fromCharCode(text[0] ?? 0), decode(text.subarray(1))] as const);
  return new StatementError(new Map(fields));
}
