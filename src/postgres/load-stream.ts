import { createReadStream } from 'node:fs';
import type { Bytes } from '../pipeline/bytes.ts';
import { Failure } from '../api/failure.ts';
import { latin1, readTocEntry, readTocHead } from './archive-toc.ts';
import { splitByPass } from './choose-pass.ts';
import type { LoadOptions } from './load-types.ts';
import { quoteName } from './quote.ts';
import { openRowLanes, type RowLanes, type RowsTable } from './row-lanes.ts';
import type { RestoreRun } from './run-restore.ts';
import { separateRows } from './separate-rows.ts';
import { TocCursor } from './toc-cursor.ts';
import { readWhole } from './whole-source.ts';

/** Runs pg_restore for these entries of an archive, by so many connections. */
export type RunPass = (run: RestoreRun, ids: readonly number[], jobs: number) => Promise<void>;

/** What pg_restore sets in a session that loads rows. */
const settingsOfLoads = [
  'SET check_function_bodies = false',
  'SET xmloption = content',
  'SET client_min_messages = warning',
  'SET row_security = off',
];

/**
 * Loads a custom-format archive that is streamed by `options.jobs` connections. Definitions, and what comes after the rows, come from its
 * `head`, a file that the stream writes as it is read; rows of tables that are made here go through sessions of our own, several for
 * one table; pg_restore gets what is left of the stream (large objects, rows of tables that an extension has made). What comes after the
 * rows begins when the stream has proved itself.
 */
export async function loadStream(
  run: RestoreRun & { readonly source: NonNullable<RestoreRun['source']> },
  head: string,
  options: LoadOptions,
  runPass: RunPass,
): Promise<void> {
  const { source, about, signal, contents } = run;
  const damaged = (what: string): Failure => new Failure(about.damaged, `the archive is damaged: ${what}`);
  const { before, rows, after } = splitByPass(contents, run);
  const fromHead: RestoreRun = { ...run, source: undefined, path: head };
  const cursor = new TocCursor(source.bytes, damaged);
  const { schemaOnly, dataOnly } = options.selection;
  // What is there already may look at rows that come.
  const made = schemaOnly || dataOnly ? [] : before;
  const found = await findRows(cursor, damaged, new Set(made), new Set(rows));
  await runPass(fromHead, before, 1);

  const left = rows.filter((id) => !found.tables.has(id));
  const isStreamNeeded = left.some((id) => found.withData.has(id));
  const rest = cursor.rest();
  if (found.tables.size === 0) {
    if (isStreamNeeded) await runPass({ ...run, source: readWhole(behindHead(head, found.headBytes, rest)) }, left, 1);
  } else {
    const count = Math.max(1, options.jobs - (isStreamNeeded ? 1 : 0));
    const lanes = await openLanes(run, options, found, count);
    try {
      const separated = separateRows(rest, (id) => found.tables.has(id), lanes, damaged);
      const others = readWhole(behindHead(head, found.headBytes, separated));
      if (isStreamNeeded) await runPass({ ...run, source: others }, left, 1);
      await others.drain();
    } finally {
      await lanes.close();
    }
  }
  // Only now the head is known to be the one that was stored.
  await source.drain();
  signal.throwIfAborted();
  if (!isStreamNeeded) await runPass(fromHead, left, 1);
  await runPass(fromHead, after, options.jobs);
}

async function openLanes(run: RestoreRun, options: LoadOptions, found: RowsFound, count: number): Promise<RowLanes> {
  const { tools, about, settings, signal } = run;
  const setUp = [
    ...found.settings,
    ...settingsOfLoads,
    ...Object.entries(settings).map(([name, value]) => `SET ${name} = '${value}'`),
    ...(options.role === undefined ? [] : [`SET ROLE ${Buffer.from(quoteName(options.role)).toString('latin1')}`]),
  ];
  const tableOf = (dumpId: number): RowsTable => {
    const table = found.tables.get(dumpId);
    if (table === undefined) throw new Failure('Internal', `entry ${dumpId} of an archive was not to be taken`);
    return table;
  };
  const ofRows = { ...about, subject: `COPY into database "${options.database}"` };
  return openRowLanes(tools.server, options.database, { count, setUp, tableOf, about: ofRows }, signal);
}

/** What pg_restore gets instead of the stream: the head as it was written to its file, and what is left of the rest. */
async function* behindHead(head: string, bytes: number, rest: Bytes): AsyncGenerator<Uint8Array, void, void> {
  yield* createReadStream(head, { end: bytes - 1 }) satisfies Bytes;
  yield* rest;
}

interface RowsFound {
  /** By dump id: tables that are made before, whose rows our sessions load. */
  readonly tables: ReadonlyMap<number, RowsTable>;
  /** Ids of entries that have something in the stream. */
  readonly withData: ReadonlySet<number>;
  /** What the archive sets in every session: encoding, strings, search path. One byte for each character. */
  readonly settings: readonly string[];
  readonly headBytes: number;
}

const settingTypes: ReadonlySet<string> = new Set(['ENCODING', 'STDSTRINGS', 'SEARCHPATH']);
/** Functions of users bear their schemas there, and may look at rows of this table or of others. */
const callsFunction = /\.(?:"(?:[^"]|"")+"|[\w$]+)\(|\bOPERATOR\(/;
const mayLookAtRows = (definition: string): boolean => /\bCHECK\b/.test(definition) && callsFunction.test(definition);

/**
 * Reads the table of contents as it passes: what was told of it before may have been rewritten since. Where rows of other tables come
 * by pg_restore (an extension has made them), all do: rows come table by table, in the order in which they were dumped.
 */
async function findRows(
  cursor: TocCursor,
  damaged: (what: string) => Failure,
  making: ReadonlySet<number>,
  rows: ReadonlySet<number>,
): Promise<RowsFound> {
  const head = await cursor.piece(() => readTocHead(cursor, damaged));
  const tables = new Map<number, RowsTable>();
  const withData = new Set<number>();
  const settings: string[] = [];
  /** Made before, and whether what is in them may be looked at as they come. */
  const made = new Map<number, boolean>();
  let isOurs = !head.isCompressed && cursor.integerBytes === 4;
  for (let read = 0; read < head.count; read += 1) {
    await cursor.piece(() => {
      const { dumpId, type, definition, copy, hasData, dependencies } = readTocEntry(cursor, head, 'custom', damaged);
      if (hasData) withData.add(dumpId);
      if (settingTypes.has(type) && definition !== undefined) settings.push(definition.toString('latin1'));
      if (type === 'TABLE' && making.has(dumpId)) made.set(dumpId, mayLookAtRows(latin1(definition)));
      if (type !== 'TABLE DATA' || !rows.has(dumpId) || !hasData) return;
      const table = dependencies.find((id) => made.has(id));
      isOurs &&= table !== undefined && latin1(copy).startsWith('COPY ');
      if (table !== undefined && copy !== undefined)
        tables.set(dumpId, { copy: Buffer.from(copy), inOrder: made.get(table) === true });
    });
  }
  // A session without its search path would find other functions than pg_dump did.
  isOurs &&= settings.length === settingTypes.size;
  if (!isOurs) tables.clear();
  return { tables, withData, settings, headBytes: cursor.length };
}
