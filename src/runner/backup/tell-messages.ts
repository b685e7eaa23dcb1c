import { Verbatim } from '../../support/redaction.ts';
import type { Workshop } from '../workshop.ts';
import type { DumpStream } from './source.ts';

/** A line of the log is cut in two by container runtimes when it is longer than 16 KiB. */
const pieceCharacters = 8_000;

/** Whatever pg_dump said stands in the log, redacted, whether it ended well or not. `database` absent: the globals. */
export function tellMessages(
  dump: Pick<DumpStream, 'stderrTail'>,
  { log, redactor }: Pick<Workshop, 'log' | 'redactor'>,
  database?: string,
): void {
  // Before it is cut: half a secret is one too.
  let text = redactor.text(dump.stderrTail()).trim();
  while (text !== '') {
    const lineEnd = text.length > pieceCharacters ? text.lastIndexOf('\n', pieceCharacters) : -1;
    const length = lineEnd > 0 ? lineEnd : pieceCharacters;
    log.warn('messages of the dump', {
      ...(database === undefined ? {} : { database: new Verbatim(database) }),
      messages: text.slice(0, length),
    });
    text = text.slice(length).trimStart();
  }
}
