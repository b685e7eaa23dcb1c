import { Failure, toFailure } from '../api/failure.ts';
import { aborted } from '../pipeline/aborted.ts';
import type { Bytes } from '../pipeline/bytes.ts';
import { choosePrograms, type Programs } from './programs.ts';
import { mayBeDamage, type LoadSubject } from './classify-load-end.ts';
import type { LoadHooks, LoadOptions, LoadResult, LoadTools } from './load-types.ts';
import { checkPsql, newKey, runPsql } from './psql.ts';
import { quoteName } from './quote.ts';
import { checkProof } from './restore-script.ts';
import { readWhole } from './whole-source.ts';

export type ScriptOptions = Pick<LoadOptions, 'database' | 'role' | 'singleTransaction'>;

/**
 * Runs a script of plain SQL (with the rows of COPY) that has no command of psql itself: one would be an error. Its last statement
 * has its semicolon (`readSqlScript` sees to it). Stops at the first error. With `singleTransaction` nothing is committed before
 * the source has ended well, unless the script itself commits: that is an error too, but what it committed stays.
 * @throws Failure what `open` throws before all else; ProgramMissing, ObjectConflict, RoleMissing, FileDamaged (it ends within a
 * statement or within rows), RestoreFailed …
 */
export async function loadScript(
  tools: LoadTools,
  open: (signal: AbortSignal) => Bytes,
  options: ScriptOptions,
  signal: AbortSignal,
  hooks: LoadHooks = {},
): Promise<LoadResult> {
  const programs = choosePsql(tools);
  await checkPsql(tools, programs, signal);
  const about: LoadSubject = {
    subject: `the script for database "${options.database}"`,
    damaged: tools.damaged ?? 'FileDamaged',
  };
  const proof = newKey(tools);
  const source = readWhole(open(signal), hooks.onBytes);
  try {
    const script = frame(source.bytes, options, newKey(tools), proof);
    const output = await runPsql(tools, programs, options.database, script, about, signal);
    await source.drain();
    checkProof(
      output,
      proof,
      () => new Failure(about.damaged, `${about.subject} ends within a statement or within rows: it is not whole`),
    );
    return { notes: [] };
  } catch (error) {
    if (signal.aborted) throw aborted(signal);
    const failure = toFailure(error);
    if (mayBeDamage(failure)) await source.drain();
    throw failure;
  } finally {
    source.leave();
  }
}

/** psql of the server's major, else the lowest newer one, else the newest there is: it speaks with all servers. */
function choosePsql(tools: LoadTools): Programs {
  const newest = tools.available.at(-1);
  if (newest === undefined || newest.major >= tools.serverMajor) {
    return choosePrograms(tools.available, tools.serverMajor);
  }
  return newest;
}

const setting = `'pgbackup.load'`;

async function* frame(
  script: Bytes,
  { role, singleTransaction }: ScriptOptions,
  key: string,
  proof: string,
): AsyncGenerator<Uint8Array, void, void> {
  // One line, so that the line numbers of errors are the script's own plus one.
  const begin = [
    // As the script was read: a setting of the role or the database would change where literals end.
    'SET standard_conforming_strings = on;',
    ...(role === undefined ? [] : [`SET ROLE ${quoteName(role)};`]),
    ...(singleTransaction ? [`BEGIN; SELECT pg_catalog.set_config(${setting}, '${key}', true);`] : []),
  ];
  yield Buffer.from(`\\restrict ${key}\n${begin.join(' ')}\n`);
  yield* script;
  // The setting ends with the transaction that it was set in.
  const sameTransaction = `SELECT CASE WHEN pg_catalog.current_setting(${setting}, true) = '${key}' THEN 0
 ELSE CAST(pg_catalog.concat('the script ended the transaction that it was run in') AS pg_catalog.int4) END;\nCOMMIT;\n`;
  // No empty statement: psql 18 takes what follows one behind COPY for rows.
  yield Buffer.from(`\n${singleTransaction ? sameTransaction : ''}SELECT '${proof}';\n`);
}
