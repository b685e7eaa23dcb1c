import type { NoteSum } from '../api/notes.ts';
import { verdictMaxBytes, type BackupVerdict, type Verdict } from '../domain/report.ts';
import type { Redactor } from '../support/redaction.ts';
import { cutToBytes } from '../support/cut-to-bytes.ts';

const destinationCharacters = 120;
/** Bytes for message, hint and each destination's message; tried in turn until all of it fits. */
const budgets = [
  [1024, 400, 480],
  [800, 240, 240],
  [600, 160, 160],
  [400, 120, 120],
  [240, 80, 80],
  [160, 0, 40],
  [80, 0, 0],
] as const;

/**
 * The verdict as it goes into the termination message: at most 3 KiB of UTF-8 whatever the messages hold, never cut inside a
 * character. Free texts pass the redactor; names and reasons are facts and stay as they are.
 */
export function printVerdict(verdict: Verdict, redactor: Pick<Redactor, 'text'>): string {
  let text = '';
  for (const told of shorterAndShorter(verdict)) {
    for (const [message, hint, destination] of budgets) {
      text = JSON.stringify(shorten(told, redactor, { message, hint, destination }));
      if (Buffer.byteLength(text) <= verdictMaxBytes) return text;
    }
  }
  return text;
}

/** Facts that are as long as a stranger made them: left out one after the other, for a verdict that is cut cannot be read at all. */
function* shorterAndShorter(verdict: Verdict): Generator<Verdict, void, void> {
  yield verdict;
  if (verdict.kind !== 'restore' && verdict.kind !== 'cleanup') return;
  const names = verdict.kind === 'cleanup' ? { dropped: [] } : {};
  const { member: _member, ...source } = verdict.source ?? {};
  yield { ...verdict, ...names, source };
  const { key: _key, ...named } = source;
  yield { ...verdict, ...names, source: named };
  const { source: _source, ...bare } = verdict;
  yield { ...bare, ...names };
}

function shorten(
  verdict: Verdict,
  redactor: Pick<Redactor, 'text'>,
  bytes: { readonly message: number; readonly hint: number; readonly destination: number },
): Verdict {
  const texts = {
    ...shortened('message', verdict.message, redactor, bytes.message),
    ...shortened('hint', verdict.hint, redactor, bytes.hint),
  };
  const { message: _message, hint: _hint, ...rest } = verdict;
  if (rest.kind !== 'backup') return { ...rest, ...texts };
  return {
    ...rest,
    ...texts,
    destinations: rest.destinations.map((destination) => shortenDestination(destination, redactor, bytes.destination)),
    ...(rest.notes === undefined
      ? {}
      : { notes: rest.notes.map((note) => shortenNote(note, redactor, bytes.destination)) }),
  };
}

function shortenDestination(
  destination: BackupVerdict['destinations'][number],
  redactor: Pick<Redactor, 'text'>,
  bytes: number,
): BackupVerdict['destinations'][number] {
  const { message, ...rest } = destination;
  return {
    ...rest,
    ...shortened('message', message, redactor, bytes, destinationCharacters),
  };
}

function shortenNote({ message, ...rest }: NoteSum, redactor: Pick<Redactor, 'text'>, bytes: number): NoteSum {
  return { ...rest, ...shortened('message', message, redactor, bytes) };
}

/** Redacted before it is cut: half a secret is one too. */
function shortened<Key extends string>(
  key: Key,
  text: string | undefined,
  redactor: Pick<Redactor, 'text'>,
  bytes: number,
  characters = Number.POSITIVE_INFINITY,
): Partial<Record<Key, string>> {
  if (text === undefined || bytes === 0) return {};
  const redacted = redactor.text(text);
  const points = Array.from(redacted);
  const cut = points.length > characters ? `${points.slice(0, characters - 1).join('')}…` : redacted;
  return { [key]: cutToBytes(cut, bytes) } as Partial<Record<Key, string>>;
}
