/** What is left out of a script, and how people call it. */
export const leftOut = {
  database: 'about databases',
  role: 'about roles',
  tablespace: 'about tablespaces',
  setting: 'about settings of the server',
  transaction: 'that begin or end a transaction',
} as const;
export type LeftOut = keyof typeof leftOut;

/** pass: as it is; check: look at its whole text; more: its next word is needed. */
export type Ruling = 'pass' | 'check' | 'more' | { readonly leaveOut: LeftOut };

const clusterObjects: ReadonlyMap<string, LeftOut> = new Map([
  ['database', 'database'],
  ['role', 'role'],
  ['group', 'role'],
  ['tablespace', 'tablespace'],
  ['system', 'setting'],
  ['parameter', 'setting'],
]);
const transactionWords: ReadonlySet<string> = new Set([
  'begin',
  'start',
  'commit',
  'end',
  'rollback',
  'abort',
  'prepare',
]);

/** Judges a statement by its first words (as `SqlEvents.word` tells them). */
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
    case 'set':
      return 'check';
    case 'select':
      if (words.includes('set_config')) return 'check';
      return words.length < 4 ? 'more' : 'pass';
    default:
      return transactionWords.has(first) ? 'check' : 'pass';
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

/** What psql and the server would read byte by byte in another way than we do. */
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

/** Why a SET or set_config may not stand in a script, or undefined. `text` is the whole statement. */
export function refuseSetting(text: string): { readonly what: string; readonly hint: string } | undefined {
  const plain = stripComments(text);
  const strings = /standard_conforming_strings"?\s*(?:=|\bto\b|',)\s*'?\s*([a-z0-9]+)/i.exec(plain)?.[1]?.toLowerCase();
  if (/standard_conforming_strings/i.test(plain) && !['on', 'true', '1', 'yes'].includes(strings ?? '')) {
    return {
      what: 'standard_conforming_strings is set to something else than on',
      hint: 'make the dump from a server or session where standard_conforming_strings is on',
    };
  }
  const encoding =
    /(?:client_encoding"?\s*(?:=|\bto\b|',)|\bnames\b)\s*'?\s*([A-Za-z0-9_-]+)/i.exec(plain)?.[1] ?? undefined;
  if (encoding !== undefined && unsafeEncodings.has(encoding.toLowerCase().replaceAll(/[^a-z0-9]/g, ''))) {
    return {
      what: `the encoding ${encoding}, in which a backslash may be half a character`,
      hint: 'make the dump with pg_dump --encoding=UTF8',
    };
  }
  return undefined;
}

/** What a statement about transactions does to one that is already begun. */
export function ruleOnTransaction(text: string): 'pass' | 'leave out' | 'refuse' {
  const words = stripComments(text)
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter((word) => word !== '');
  const [first = '', second = ''] = words;
  if (first === 'prepare') return second === 'transaction' ? 'refuse' : 'pass';
  if (first === 'rollback') return words.includes('to') ? 'pass' : 'refuse';
  if (first === 'abort' || words.includes('prepared') || words.includes('chain')) return 'refuse';
  return 'leave out';
}

function stripComments(text: string): string {
  return text.replaceAll(/--[^\n\r]*|\/\*[\s\S]*?\*\//g, ' ');
}
