/** The words of one statement, as far as they decide where it ends and whether rows follow it. */
export interface SqlWords {
  start(): void;
  /** An unquoted name, in lower case; `deep` = in parentheses. */
  take(word: string, deep: boolean): void;
  /** Something that is no word stands between two of them. */
  part(): void;
  /** Whether the next word could matter. */
  matters(): boolean;
  /** In BEGIN … END of a routine: a semicolon ends nothing there. */
  insideBlock(): boolean;
  /** COPY … FROM stdin: rows follow. */
  copiesFromStdin(): boolean;
}

const initials: ReadonlyMap<string, string> = new Map([
  ['create', 'c'],
  ['function', 'f'],
  ['procedure', 'p'],
  ['or', 'o'],
  ['replace', 'r'],
]);
const routines: ReadonlySet<string> = new Set(['cf', 'cp', 'corf', 'corp']);

/** psql's own way to know CREATE [OR REPLACE] FUNCTION and its blocks, word for word: it decides where psql sees a statement end. */
export function trackSqlWords(): SqlWords {
  let count = 0;
  let first = '';
  let last = '';
  let heads = '';
  let routine = false;
  let blocks = 0;
  let copies = false;
  return {
    start() {
      count = 0;
      first = '';
      last = '';
      heads = '';
      routine = false;
      blocks = 0;
      copies = false;
    },
    take(word, deep) {
      count += 1;
      if (count === 1) first = word;
      if (count <= 4 && !routine) {
        heads += initials.get(word) ?? '-';
        routine = routines.has(heads);
      }
      if (routine && !deep) {
        if (word === 'begin') blocks += 1;
        else if (word === 'case' && blocks > 0) blocks += 1;
        else if (word === 'end' && blocks > 0) blocks -= 1;
      }
      if (first === 'copy' && !deep && word === 'stdin' && last === 'from') copies = true;
      last = word;
    },
    part() {
      last = '';
    },
    matters: () => count === 0 || routine || first === 'copy' || (first === 'create' && count < 4),
    insideBlock: () => blocks > 0,
    copiesFromStdin: () => copies,
  };
}
