import { Failure } from '../api/failure.ts';
import { parsePsqlCommand, psqlCommandName, type PsqlCommand } from './psql-command.ts';
import type { SqlScriptOptions } from './sql-script-options.ts';

/** Which database of a script is being read, what psql's words in it mean, and whether it is whole. */
export interface SqlSections {
  /** A statement begins. */
  beginStatement(line: () => number): void;
  /** It is about the content of a database. */
  passStatement(): void;
  command(line: number, text: string, insideStatement: boolean): void;
  /** A line comment between statements. */
  comment(text: string): void;
  /** @throws Failure FileDamaged when the script is cut short; `isDump`: it must have the last line of one */
  end(isDump: boolean): void;
  /** What is read now is handed on. */
  isWanted(): boolean;
  /** What is left out now is worth telling. */
  countsHere(): boolean;
  isConnected(): boolean;
  databases(): readonly string[];
  /** The last `-- Name:`, such as `TABLE public.t`. */
  entry(): string | undefined;
}

const dumpHeader = '-- PostgreSQL database dump';
const clusterHeader = '-- PostgreSQL database cluster dump';
const entryLine = /^-- (?:Data for )?Name: (.+?); Type: ([A-Z ]+); Schema: (.+?)(?:; Owner: .*)?$/;

/**
 * Words of psql are what a dump says of itself, and nothing that is done: `\restrict` and `\unrestrict` frame it, `\connect` begins
 * another database. Any other is refused: what it would do in psql is done by nobody here.
 */
export function trackSections(
  part: SqlScriptOptions['part'],
  refuse: (line: number, what: string, hint?: string) => Failure,
): SqlSections {
  const databases: string[] = [];
  let database: string | undefined;
  let token: string | undefined;
  /** Nothing but comments since the script, or the connection, began. */
  let mayRestrict = true;
  let mustConnect = false;
  /** A statement that says something about the database's content was there. */
  let hasContent = false;
  let open: readonly string[] = [];
  let over = false;
  let isComplete = false;
  let entry: string | undefined;

  const isWanted = (): boolean => {
    if (part === 'whole') return true;
    if (part === 'nothing') return false;
    if (part === 'globals') return database === undefined;
    return database === part.database && !over;
  };
  const refuseCommand = (line: number, text: string): Failure =>
    refuse(line, `the command ${psqlCommandName(text)} of psql`, 'make the dump with pg_dump, or take the command out');
  const connect = (line: number, text: string, name: string): void => {
    if (part === 'whole' && (hasContent || (database !== undefined && database !== name))) {
      throw refuseCommand(line, text);
    }
    if (!databases.includes(name)) databases.push(name);
    database = name;
    over = false;
    entry = undefined;
  };
  const obey = (line: number, text: string, command: PsqlCommand): void => {
    if (mustConnect && command.kind !== 'connect') throw refuseCommand(line, text);
    mustConnect = false;
    if (command.kind === 'restrict') {
      if (token !== undefined || !mayRestrict) throw refuseCommand(line, text);
      token = command.token;
      return;
    }
    if (command.kind === 'unrestrict') {
      if (token !== command.token) throw refuseCommand(line, text);
      token = undefined;
    } else {
      if (token !== undefined) throw refuseCommand(line, text);
      if (command.kind === 'encoding') mustConnect = true;
      else connect(line, text, command.database);
    }
    mayRestrict = true;
  };

  return {
    isWanted,
    countsHere: () => isWanted() || (typeof part === 'object' && database === undefined),
    isConnected: () => database !== undefined,
    databases: () => databases,
    entry: () => entry,
    beginStatement(line) {
      if (mustConnect) throw refuse(line(), 'a statement behind \\encoding');
      mayRestrict = false;
    },
    passStatement() {
      hasContent = true;
    },
    command(line, text, insideStatement) {
      const command = insideStatement ? undefined : parsePsqlCommand(text);
      if (command === undefined) throw refuseCommand(line, text);
      obey(line, text, command);
    },
    comment(text) {
      if (text === dumpHeader && open.includes(text)) throw cutShort(text);
      if (text === dumpHeader || text === clusterHeader) open = [...open, text];
      const named = entryLine.exec(text);
      if (named !== null) entry = `${named[2]} ${named[3] === '-' ? '' : `${named[3]}.`}${named[1]}`;
      if (text !== `${dumpHeader} complete` && text !== `${clusterHeader} complete`) return;
      open = open.filter((header) => `${header} complete` !== text);
      entry = undefined;
      isComplete = true;
      if (database !== undefined) over = true;
    },
    end(isDump) {
      if (isDump && !isComplete) throw cutShort(dumpHeader);
      const [unfinished] = open;
      if (unfinished !== undefined) throw cutShort(unfinished);
    },
  };
}

function cutShort(header: string): Failure {
  return new Failure('FileDamaged', `the script is cut short: its line “${header} complete” is missing`, {
    hint: 'take a file that was uploaded as a whole, made by a pg_dump that ended well',
  });
}
