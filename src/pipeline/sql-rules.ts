/** What is left out of a script, and how people call it. */
export const leftOut = {
  database: 'about databases',
  role: 'about roles',
  tablespace: 'about tablespaces',
  setting: 'about settings of the server',
  transaction: 'that begin or end a transaction',
} as const;
export type LeftOut = keyof typeof leftOut;

/** more: its next word is needed. */
export type Ruling = 'pass' | 'more' | { readonly leaveOut: LeftOut };

const clusterObjects: ReadonlyMap<string, LeftOut> = new Map([
  ['database', 'database'],
  ['role', 'role'],
  ['group', 'role'],
  ['tablespace', 'tablespace'],
  ['system', 'setting'],
  ['parameter', 'setting'],
]);

/** Judges a statement by its first words (as `SqlEvents.word` tells them): whether it is about the content of a database. */
export function ruleOnWords(words: readonly string[]): Ruling {
  const [first = '', second, third] = words;
  switch (first) {
    case 'create':
    case 'alter':
    case 'drop':
      if (second === undefined) return 'more';
      if (second !== 'user') return ruleOnObject(second);
      if (third === undefined) return 'more';
      return third === 'mapping' ? 'pass' : { leaveOut: 'role' };
    case 'comment':
    case 'security':
    case 'grant':
    case 'revoke':
      return ruleOnTarget(first, words);
    case 'update':
      if (third !== undefined) return third === 'pg_database' ? { leaveOut: 'database' } : 'pass';
      return second === undefined || second === 'pg_catalog' ? 'more' : ruleOnCatalog(second);
    default:
      return 'pass';
  }
}

function ruleOnCatalog(table: string): Ruling {
  return table === 'pg_database' ? { leaveOut: 'database' } : 'pass';
}

function ruleOnObject(word: string): Ruling {
  const kind = clusterObjects.get(word);
  return kind === undefined ? 'pass' : { leaveOut: kind };
}

/** COMMENT ON …, SECURITY LABEL … ON …, GRANT … ON … TO …; a GRANT without ON is one of roles. */
function ruleOnTarget(first: string, words: readonly string[]): Ruling {
  const at = words.findIndex((word, index) => index > 0 && (word === 'on' || word === 'to' || word === 'from'));
  if (at === -1) return 'more';
  if (words[at] !== 'on') return first === 'grant' || first === 'revoke' ? { leaveOut: 'role' } : 'pass';
  const object = words[at + 1];
  return object === undefined ? 'more' : ruleOnObject(object);
}

const transactionWords: ReadonlySet<string> = new Set([
  'begin',
  'start',
  'commit',
  'end',
  'rollback',
  'abort',
  'prepare',
]);

/** Whether a statement that begins with this word may begin or end a transaction: all of its words are needed then. */
export function mayBeAboutTransaction(first: string): boolean {
  return transactionWords.has(first);
}

/** What helps where a script ends the transaction that all of it is to run in. */
export const endsTransactionHint = 'take the statement out, or restore with mode Replace or Create';

/** What a statement does to a transaction that is already begun, by its words. What it cannot know the server tells afterwards. */
export function ruleOnTransaction(words: readonly string[]): 'pass' | 'leave out' | 'refuse' {
  const [first = '', second = ''] = words;
  if (!transactionWords.has(first)) return 'pass';
  if (first === 'prepare') return second === 'transaction' ? 'refuse' : 'pass';
  if (first === 'rollback') return words.includes('to') ? 'pass' : 'refuse';
  if (first === 'abort' || words.includes('prepared') || words.includes('chain')) return 'refuse';
  return 'leave out';
}

/** Encodings in which a backslash or a digit may be half a character: what they mean cannot be read byte by byte. */
const unsafeEncodings = new Set(
  [
    'sjis',
    'mskanji',
    'shiftjis',
    'win932',
    'windows932',
    'shiftjis2004',
    'sjis2004',
    'big5',
    'win950',
    'windows950',
  ].concat(['gbk', 'win936', 'windows936', 'uhc', 'win949', 'windows949', 'gb18030', 'johab']),
);

export interface Refusal {
  readonly what: string;
  readonly hint: string;
}

/** Why a script in an encoding (any of its names) cannot be read, or undefined. */
export function refuseEncoding(encoding: string): Refusal | undefined {
  if (!unsafeEncodings.has(encoding.toLowerCase().replaceAll(/[^a-z0-9]/g, ''))) return undefined;
  return {
    what: `the encoding ${encoding}, in which a backslash may be half a character`,
    hint: 'make the dump with pg_dump --encoding=UTF8',
  };
}

const stringsSetting = /^SET\s+standard_conforming_strings\s*(?:=|\s+TO\s+)\s*'?([a-z0-9]+)/i;
const encodingSetting = /^SET\s+(?:client_encoding\s*(?:=|\s+TO\s+)|NAMES\s)\s*'?([A-Za-z0-9_-]+)/i;

/** The same for a SET that is only read over (of another database than the wanted one): no server tells what it means. */
export function refuseSetting(text: string): Refusal | undefined {
  const strings = stringsSetting.exec(text)?.[1]?.toLowerCase();
  if (strings !== undefined && !['on', 'true', '1', 'yes'].includes(strings)) {
    return {
      what: 'standard_conforming_strings is set to something else than on',
      hint: 'make the dump from a server or session where standard_conforming_strings is on',
    };
  }
  const encoding = encodingSetting.exec(text)?.[1];
  return encoding === undefined ? undefined : refuseEncoding(encoding);
}
