export interface Import {
  readonly specifier: string;
  /** Nothing of it is there when the program runs. */
  readonly typeOnly: boolean;
  readonly reexport: boolean;
}

export interface Source {
  /** Relative to src, with slashes. */
  readonly path: string;
  readonly text: string;
  /** The text with comments, contents of strings and regular expressions blanked: same length, same lines. */
  readonly code: string;
  readonly imports: readonly Import[];
  readonly exports: readonly string[];
}

/** Reads a file of TypeScript as far as the house rules need it. */
export function readSource(path: string, text: string): Source {
  const code = blankTexts(text);
  return { path, text, code, imports: findImports(code, text), exports: findExports(code) };
}

const statement =
  /(?<![.\w$])(import|export)(\s+type(?=[\s{*])(?!\s+from\b))?(\s*(?:[\w$*,\s]|\{[^{}]*\}){0,2000}?\bfrom\b)?\s*(['"])/g;
const call = /(?<![.\w$])(?:import|require)\s*\(\s*(.)/g;

function findImports(code: string, text: string): Import[] {
  const statements = [...code.matchAll(statement)]
    // `export 'x'` does not exist; `import 'x'` does.
    .filter(([, keyword, , clause]) => keyword === 'import' || clause !== undefined)
    .map((match): Import => {
      const [whole, keyword, type, clause = ''] = match;
      const start = match.index + whole.length;
      return {
        specifier: text.slice(start, text.indexOf(whole.slice(-1), start)),
        typeOnly: type !== undefined || hasOnlyTypes(clause),
        reexport: keyword === 'export',
      };
    });
  const calls = [...code.matchAll(call)].map((match): Import => {
    const quote = match[1] ?? '';
    const start = match.index + match[0].length;
    const literal = quote === "'" || quote === '"';
    // A type such as import('x').Y looks the same; it counts as the stricter of the two.
    return {
      specifier: literal ? text.slice(start, text.indexOf(quote, start)) : '',
      typeOnly: false,
      reexport: false,
    };
  });
  return [...statements, ...calls];
}

/** `{ type A, type B }` */
function hasOnlyTypes(clause: string): boolean {
  const names = /^\s*\{([^}]*)\}\s*from$/.exec(clause)?.[1];
  if (names === undefined) return false;
  const members = names.split(',').filter((name) => name.trim() !== '');
  return members.length > 0 && members.every((name) => /^\s*type\s+/.test(name));
}

function findExports(code: string): string[] {
  const declared = code.matchAll(
    /(?<![.\w$])export\s+(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:function\s*\*?|const|let|var|class|interface|type|enum|namespace)\s+([\w$]+)/g,
  );
  const listed = [...code.matchAll(/(?<![.\w$])export\s+(?:type\s+)?\{([^}]*)\}/g)].flatMap(([, names = '']) =>
    names.split(',').map((name) => name.trim().split(/\s+/).at(-1) ?? ''),
  );
  return [...[...declared].map(([, name = '']) => name), ...listed].filter((name) => name !== '');
}

const beforeRegex =
  /(?:^|[(,=:[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|of|in|do|else|void|delete|throw|new|yield|await))\s*$/;

/** Blanks what is not code. Template literals keep the code of their `${…}`. */
function blankTexts(text: string): string {
  let result = '';
  let at = 0;
  /** Depth of braces at which each open `${` ends. */
  const templates: number[] = [];
  let depth = 0;
  const copy = (count = 1): void => {
    result += text.slice(at, at + count);
    at += count;
  };
  const blank = (count = 1): void => {
    result += text.slice(at, at + count).replaceAll(/[^\n]/g, ' ');
    at += count;
  };
  const blankUntil = (end: string): void => {
    while (at < text.length && !text.startsWith(end, at)) blank(text[at] === '\\' ? 2 : 1);
  };
  const blankUntilEnd = (end: string, length: number): void => {
    const found = text.indexOf(end, at);
    blank(found === -1 ? text.length - at : found + length - at);
  };
  const blankTemplate = (): void => {
    while (at < text.length && text[at] !== '`' && !text.startsWith('${', at)) blank(text[at] === '\\' ? 2 : 1);
    if (text[at] === '`') return copy();
    templates.push(depth);
    depth += 1;
    copy(2);
  };
  while (at < text.length) {
    const character = text[at];
    if (text.startsWith('//', at)) blankUntilEnd('\n', 0);
    else if (text.startsWith('/*', at)) blankUntilEnd('*/', 2);
    else if (character === "'" || character === '"') {
      copy();
      blankUntil(character);
      copy();
    } else if (character === '`') {
      copy();
      blankTemplate();
    } else if (character === '/' && beforeRegex.test(result.slice(-60))) {
      copy();
      blankRegex();
    } else if (character === '}' && templates.at(-1) === depth - 1) {
      templates.pop();
      depth -= 1;
      copy();
      blankTemplate();
    } else {
      if (character === '{') depth += 1;
      if (character === '}') depth -= 1;
      copy();
    }
  }
  return result;

  function blankRegex(): void {
    let inClass = false;
    while (at < text.length && text[at] !== '\n' && (inClass || text[at] !== '/')) {
      if (text[at] === '[') inClass = true;
      if (text[at] === ']') inClass = false;
      blank(text[at] === '\\' ? 2 : 1);
    }
    copy();
  }
}
