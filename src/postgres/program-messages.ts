/** What pg_dump and its like say on stderr, line by line: `pg_dump: error: …`, `pg_dump: detail: …`, and words of the server. */

const errorPrefix = /^pg_[a-z]+: (?:error|fatal): /;
const morePrefix = /^(?:pg_[a-z]+: )?(?:detail|hint|DETAIL|HINT):\s+/;
/** What was run may hold any words of the database: nothing is to be concluded from it. */
const statement = /^(?:Query|Command) was: /;
const warning = /^(?:pg_[a-z]+: warning: |WARNING:\s+)/;
const longestLine = 500;
const longestDetail = 400;

export interface ErrorText {
  /** The first line that is an error. */
  readonly line: string;
  /** What is added to it: details, hints, what was run. */
  readonly detail: string;
  /** Everything from there on but what was run. */
  readonly whole: string;
}

/** The first error. Warnings before it are passed over. */
export function errorText(stderr: string): ErrorText {
  const lines = stderr.split('\n').map((line) => line.trimEnd());
  let first = lines.findIndex((line) => errorPrefix.test(line));
  if (first < 0) first = lines.findIndex((line) => /\b(?:ERROR|FATAL|PANIC): /.test(line));
  if (first < 0) first = lines.findLastIndex((line) => line !== '');
  if (first < 0) return { line: '', detail: '', whole: '' };
  // `connection to server … failed:` may be followed by the cause on a line of its own, indented.
  const continued = (lines[first + 1] ?? '').startsWith('\t') ? ` ${(lines[first + 1] ?? '').trim()}` : '';
  const messages = joinLines(lines.slice(first + 1));
  const more = followers(messages);
  return {
    line: shorten(`${(lines[first] ?? '').replace(errorPrefix, '')}${continued}`, longestLine),
    detail: shorten(
      more.toSorted((a, b) => Number(statement.test(a)) - Number(statement.test(b))).join('; '),
      longestDetail,
    ),
    whole: [lines[first] ?? '', ...messages.filter((message) => !statement.test(message.replace(morePrefix, '')))].join(
      '\n',
    ),
  };
}

export interface Warnings {
  readonly count: number;
  /** With its details. */
  readonly first: string;
}

/** What is worth telling of a program that ended well. */
export function readWarnings(stderr: string): Warnings | undefined {
  const messages = joinLines(stderr.split('\n').map((line) => line.trimEnd()));
  const count = messages.filter((message) => warning.test(message)).length;
  const first = messages.findIndex((message) => warning.test(message));
  if (first < 0) return undefined;
  const about = [(messages[first] ?? '').replace(warning, ''), ...followers(messages.slice(first + 1))];
  return { count, first: shorten(about.join(' '), longestLine) };
}

/** Details and hints at the beginning, without their prefixes. */
function followers(messages: readonly string[]): readonly string[] {
  const end = messages.findIndex((message) => message !== '' && !message.startsWith('\t') && !morePrefix.test(message));
  return messages
    .slice(0, end < 0 ? messages.length : end)
    .filter((message) => morePrefix.test(message))
    .map((message) => message.replace(morePrefix, '').replaceAll(/\s+/g, ' '));
}

/** A statement that was run may have several lines: they belong to the line that begins it. */
function joinLines(lines: readonly string[]): readonly string[] {
  const joined: string[] = [];
  for (const line of lines) {
    const last = joined.at(-1);
    const goesOn = last !== undefined && statement.test(last.replace(morePrefix, '')) && !/^pg_[a-z]+: /.test(line);
    if (goesOn) joined[joined.length - 1] = `${last}\n${line}`;
    else joined.push(line);
  }
  return joined;
}

function shorten(text: string, length: number): string {
  if (text.length <= length) return text;
  return `${text.slice(0, length - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}
