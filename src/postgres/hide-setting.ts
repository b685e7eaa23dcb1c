/** A statement that was refused, and why, as it may be shown. */
export interface RefusedStatement {
  readonly statement: string;
  readonly error: string;
}

/** The value of a setting of a database or role may be a secret (`my.key`): only its name is ever told. */
export function hideSetting({ statement, error }: RefusedStatement): RefusedStatement {
  const [, head, value = ''] =
    /^(ALTER (?:DATABASE|ROLE) [\s\S]*? SET (?:"(?:[^"]|"")*"\.?)+ TO )([\s\S]*)$/.exec(statement) ?? [];
  if (head === undefined) return { statement, error };
  const words = [...value.matchAll(/'((?:[^']|'')*)'/g)].flatMap(([, word = '']) => {
    const plain = word.replaceAll("''", "'");
    return plain === '' ? [] : [plain, plain.replaceAll('\\\\', '\\')];
  });
  const shown = words
    .toSorted((a, b) => b.length - a.length)
    .reduce((text, word) => text.replaceAll(word, '…'), error.replace(/: "[\s\S]*$/, ''));
  return { statement: `${head}…`, error: shown };
}
