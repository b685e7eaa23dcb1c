import { splitStatements, type Token } from './split-statements.ts';

/** Attributes that are not the default; those can be given by fewer users than the others. */
export interface RoleAttributes {
  /** In the words of CREATE ROLE. */
  readonly flags: readonly string[];
  readonly connectionLimit?: number;
  /** Secret: as the server keeps it (SCRAM-SHA-256 or md5), or plain in files that somebody wrote. */
  readonly password?: string;
  readonly validUntil?: string;
}

/** A statement of pg_dumpall --globals-only. */
export type GlobalStatement =
  | { readonly kind: 'create'; readonly role: string }
  | { readonly kind: 'attributes'; readonly role: string; readonly attributes: RoleAttributes }
  | { readonly kind: 'comment'; readonly role: string; readonly text: string }
  | { readonly kind: 'setting'; readonly role: string; readonly name: string; readonly values: readonly string[] }
  | {
      readonly kind: 'membership';
      readonly role: string;
      readonly member: string;
      readonly admin: boolean;
      /** Since 16; absent: as the member's INHERIT says, and true. */
      readonly inherit?: boolean;
      readonly set?: boolean;
    }
  | {
      readonly kind: 'parameter';
      readonly privileges: 'ALL' | 'SET' | 'ALTER SYSTEM';
      readonly name: string;
      readonly role: string;
      readonly grantable: boolean;
    }
  | { readonly kind: 'tablespace'; readonly name: string }
  /** Neither needed nor harmful: settings of the session, properties of tablespaces. */
  | { readonly kind: 'ignored' }
  /** `head`: its first words, without literals. */
  | { readonly kind: 'unknown'; readonly head: string };

/** Thrown and caught here: the statement is none of the known ones. */
class Unknown extends Error {}

/** Reads what pg_dumpall of 10 to 18 writes, strictly: what differs in any word is `unknown`. Never throws. */
export function readGlobals(script: string): readonly GlobalStatement[] {
  return splitStatements(script).map((tokens) => {
    try {
      const reader = new StatementReader(tokens);
      const statement = readStatement(reader);
      if (!reader.atEnd()) throw new Unknown();
      return statement;
    } catch (error) {
      if (!(error instanceof Unknown)) throw error;
      const words = tokens.filter(({ kind }) => kind === 'word' || kind === 'name').map(({ value }) => value);
      return { kind: 'unknown', head: words.slice(0, 4).join(' ').replaceAll(/\s/g, ' ').slice(0, 120) };
    }
  });
}

class StatementReader {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  atEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  /** Takes these words if they come next. */
  has(words: string): boolean {
    const wanted = words.split(' ');
    const next = this.#tokens.slice(this.#at, this.#at + wanted.length);
    const agree =
      next.length === wanted.length &&
      next.every(({ kind, value }, at) => kind !== 'name' && kind !== 'text' && value.toUpperCase() === wanted[at]);
    if (agree) this.#at += wanted.length;
    return agree;
  }

  expect(words: string): void {
    if (!this.has(words)) throw new Unknown();
  }

  /** Unquoted names are folded, as the server does. */
  name(): string {
    const token = this.#take();
    if (token.kind === 'name') return token.value;
    if (token.kind === 'word') return token.value.toLowerCase();
    throw new Unknown();
  }

  text(): string {
    const token = this.#take();
    if (token.kind !== 'text') throw new Unknown();
    return token.value;
  }

  integer(): number {
    const { kind, value } = this.#take();
    if (kind !== 'number' || !/^-?\d+$/.test(value)) throw new Unknown();
    return Number(value);
  }

  rest(): void {
    this.#at = this.#tokens.length;
  }

  #take(): Token {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw new Unknown();
    return token;
  }
}

function readStatement(reader: StatementReader): GlobalStatement {
  if (reader.has('CREATE ROLE')) return { kind: 'create', role: reader.name() };
  if (reader.has('ALTER ROLE')) return readAlterRole(reader);
  if (reader.has('COMMENT ON ROLE')) return readComment(reader);
  if (reader.has('GRANT')) return readGrant(reader);
  if (reader.has('CREATE TABLESPACE')) {
    const name = reader.name();
    reader.rest();
    return { kind: 'tablespace', name };
  }
  if (reader.has('ALTER TABLESPACE') || reader.has('COMMENT ON TABLESPACE') || reader.has('REVOKE ALL ON TABLESPACE')) {
    reader.rest();
    return { kind: 'ignored' };
  }
  reader.expect('SET');
  const setting = reader.name();
  if (
    !/^(?:default_transaction_read_only|client_encoding|standard_conforming_strings|escape_string_warning)$/.test(
      setting,
    )
  ) {
    throw new Unknown();
  }
  reader.expect('=');
  reader.rest();
  return { kind: 'ignored' };
}

function readComment(reader: StatementReader): GlobalStatement {
  const role = reader.name();
  reader.expect('IS');
  return { kind: 'comment', role, text: reader.text() };
}

const flags = ['SUPERUSER', 'CREATEROLE', 'CREATEDB', 'LOGIN', 'REPLICATION', 'BYPASSRLS'];

function readAlterRole(reader: StatementReader): GlobalStatement {
  const role = reader.name();
  if (reader.has('SET')) return readSetting(reader, role);
  reader.expect('WITH');
  const set: string[] = [];
  let attributes: Omit<RoleAttributes, 'flags'> = {};
  while (!reader.atEnd()) {
    const flag = flags.find((word) => reader.has(word));
    if (flag !== undefined) set.push(flag);
    else if (reader.has('NOINHERIT')) set.push('NOINHERIT');
    else if (reader.has('INHERIT') || flags.some((word) => reader.has(`NO${word}`))) continue;
    else if (reader.has('CONNECTION LIMIT')) attributes = { ...attributes, connectionLimit: reader.integer() };
    else if (reader.has('PASSWORD')) attributes = { ...attributes, password: reader.text() };
    else if (reader.has('VALID UNTIL')) attributes = { ...attributes, validUntil: reader.text() };
    else throw new Unknown();
  }
  return { kind: 'attributes', role, attributes: { flags: set, ...attributes } };
}

function readSetting(reader: StatementReader, role: string): GlobalStatement {
  const parts = [reader.name()];
  while (reader.has('.')) parts.push(reader.name());
  reader.expect('TO');
  const values = [reader.text()];
  while (reader.has(',')) values.push(reader.text());
  return { kind: 'setting', role, name: parts.join('.'), values };
}

function readGrant(reader: StatementReader): GlobalStatement {
  for (const privileges of ['ALL', 'SET', 'ALTER SYSTEM'] as const) {
    if (reader.has(`${privileges} ON PARAMETER`)) {
      const parts = [reader.name()];
      while (reader.has('.')) parts.push(reader.name());
      reader.expect('TO');
      const role = reader.name();
      return { kind: 'parameter', privileges, name: parts.join('.'), role, grantable: reader.has('WITH GRANT OPTION') };
    }
    if (reader.has(`${privileges} ON TABLESPACE`) || reader.has('CREATE ON TABLESPACE')) {
      reader.rest();
      return { kind: 'ignored' };
    }
  }
  const role = reader.name();
  reader.expect('TO');
  const member = reader.name();
  let options: { admin: boolean; inherit?: boolean; set?: boolean } = { admin: false };
  if (reader.has('WITH')) {
    do {
      if (reader.has('ADMIN OPTION') || reader.has('ADMIN TRUE')) options = { ...options, admin: true };
      else if (reader.has('INHERIT TRUE')) options = { ...options, inherit: true };
      else if (reader.has('INHERIT FALSE')) options = { ...options, inherit: false };
      else if (reader.has('SET TRUE')) options = { ...options, set: true };
      else {
        reader.expect('SET FALSE');
        options = { ...options, set: false };
      }
    } while (reader.has(','));
  }
  if (reader.has('GRANTED BY')) reader.name();
  return { kind: 'membership', role, member, ...options };
}
