const words = new Set(
  [
    'abort',
    'alter',
    'analyze',
    'begin',
    'call',
    'cluster',
    'comment',
    'commit',
    'copy',
    'create',
    'deallocate',
    'declare',
  ].concat(
    ['delete', 'discard', 'do', 'drop', 'explain', 'grant', 'import', 'insert', 'listen', 'lock', 'merge', 'prepare'],
    [
      'reassign',
      'refresh',
      'reindex',
      'release',
      'reset',
      'revoke',
      'rollback',
      'savepoint',
      'security',
      'select',
      'set',
    ],
    ['show', 'start', 'table', 'truncate', 'update', 'vacuum', 'values', 'with'],
  ),
);

/** Whether a text begins as SQL, or as a script of psql, behind blanks and comments. Nothing but comments counts too: more may come. */
export function looksLikeSql(head: string): boolean {
  let rest = head;
  for (;;) {
    const text = rest.replace(/^[\s;(]+/, '');
    const end = endOfComment(text);
    if (end === undefined) return beginsStatement(text, head);
    if (end === -1) return true;
    rest = text.slice(end);
  }
}

/** Behind the comment that it begins with; -1 when that does not end here; undefined when it begins with none. */
function endOfComment(text: string): number | undefined {
  const line = text.startsWith('--');
  if (!line && !text.startsWith('/*')) return undefined;
  const end = text.indexOf(line ? '\n' : '*/', 2);
  return end === -1 ? -1 : end + (line ? 1 : 2);
}

function beginsStatement(text: string, head: string): boolean {
  if (text === '') return head.trim() !== '';
  if (text.startsWith('\\')) return true;
  const word = /^[A-Za-z]+(?![A-Za-z0-9_./=-])/.exec(text)?.[0];
  return word !== undefined && words.has(word.toLowerCase());
}
