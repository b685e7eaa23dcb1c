/** Replaces registered secrets by `***` wherever text leaves the process: logs, verdicts, messages. */
export interface Redactor {
  /** From now on this text, and its URI-encoded and base64 forms, are replaced. Texts under four characters cannot be (they would eat words). */
  add(secret: string): void;
  text(text: string): string;
  /** The same value with every string inside replaced; arrays and plain objects are copied, errors become their text. */
  value(value: unknown): unknown;
}

/**
 * A value that passes the redactor as it is, and is written as its JSON: for catalogue facts (names, reasons, kinds of lines) that
 * a reader must get unharmed even if somebody's password is the same word. Never for free text.
 */
export class Verbatim {
  readonly value: unknown;

  constructor(value: unknown) {
    this.value = value;
  }

  toJSON(): unknown {
    return this.value;
  }
}

export function redactor(): Redactor {
  const secrets = new Set<string>();
  let ordered: readonly string[] = [];

  const text = (input: string): string => {
    let output = input;
    for (const secret of ordered) output = output.replaceAll(secret, '***');
    return output;
  };
  const value = (input: unknown): unknown => {
    if (typeof input === 'string') return text(input);
    if (Array.isArray(input)) return input.map(value);
    if (input instanceof Error) return text(input.message);
    if (typeof input !== 'object' || input === null || input instanceof Verbatim) return input;
    const copy: Record<PropertyKey, unknown> = {};
    for (const key of Reflect.ownKeys(input)) copy[key] = value(Reflect.get(input, key));
    return copy;
  };

  return {
    add: (secret) => {
      for (const line of [secret, ...secret.split('\n')]) {
        const trimmed = line.trim();
        if (trimmed.length < 4) continue;
        secrets.add(trimmed);
        secrets.add(encodeURIComponent(trimmed));
        secrets.add(Buffer.from(trimmed).toString('base64').replace(/=+$/, ''));
      }
      // Longest first, so that a secret inside another leaves no rest.
      ordered = [...secrets].sort((a, b) => b.length - a.length);
    },
    text,
    value,
  };
}
