import type { Connection } from '../../../postgres/connection.ts';
import { settingValue, type DatabaseProperties } from '../../../postgres/database-properties.ts';
import type { ProofWanted } from '../wanted.ts';
import { analyzeDatabase, findAnalyzed } from './analyze-database.ts';
import { askAlone, checksOf, runChecks } from './run-checks.ts';
import type { RestoreProgress } from '../tell/restore-progress.ts';
import { runSql } from './run-sql.ts';

/**
 * What comes between loading a database and showing it: afterSql, ANALYZE, the checks. Names without a schema mean what they will
 * mean to whoever uses the database.
 * @param target what it is called when it is shown
 * @param connect opens a session in it, to be closed here
 * @returns notes
 * @throws Failure SqlFailed, CheckFailed
 */
export async function proveDatabase(
  proof: ProofWanted,
  {
    target,
    settings = [],
  }: { readonly target: string; readonly settings?: DatabaseProperties['settings'] | undefined },
  connect: () => Promise<Connection>,
  progress: Pick<RestoreProgress, 'at'>,
): Promise<readonly string[]> {
  const checks = checksOf(proof.checks, target);
  const inside = async <Result>(use: (connection: Connection) => Promise<Result>): Promise<Result> => {
    const connection = await connect();
    try {
      return await use(connection);
    } finally {
      await connection.close();
    }
  };
  const work = async <Result>(use: (connection: Connection) => Promise<Result>): Promise<Result> =>
    inside(async (connection) => {
      await connection.query('RESET search_path');
      const path = findSetting(settings, 'search_path');
      if (path !== undefined) await connection.query(`SET search_path TO ${settingValue('search_path', path)}`);
      return use(connection);
    });
  if (proof.afterSql.length > 0)
    await work((connection) => runSql('afterSql', (text) => connection.query(text), proof.afterSql));
  let notes: readonly string[] = [];
  if (proof.analyze) {
    progress.at('Analyzing', target);
    const tables = await inside(findAnalyzed);
    notes = await work((connection) => analyzeDatabase(connection, tables));
  }
  if (checks.length === 0) return notes;
  progress.at('Checking', target);
  // Each in a session of its own: what afterSql sets there does not count here.
  await work((connection) => runChecks((sql) => askAlone(connection, sql), checks));
  return notes;
}

function findSetting(settings: DatabaseProperties['settings'], name: string): string | undefined {
  const found = settings.find(({ role, setting }) => role === undefined && setting.startsWith(`${name}=`));
  return found?.setting.slice(name.length + 1);
}
