import type { RestoreTask } from '../../../domain/task.ts';
import type { Connection } from '../../../postgres/connection.ts';
import { settingValue, type DatabaseProperties } from '../../../postgres/database-properties.ts';
import { analyzeDatabase, findAnalyzed } from './analyze-database.ts';
import { askAlone, checksOf, runChecks } from './run-checks.ts';
import type { OpenTarget } from '../target/open-target.ts';
import type { RestoreProgress } from '../tell/restore-progress.ts';
import { runSql } from './run-sql.ts';

/**
 * What comes between loading a database and showing it: afterSql, ANALYZE, the checks. Names without a schema mean what they will
 * mean to whoever uses the database.
 * @returns notes
 * @throws Failure SqlFailed, CheckFailed
 */
export async function proveDatabase(
  task: Pick<RestoreTask, 'afterSql' | 'checks' | 'options' | 'target'>,
  plan: { readonly target: string; readonly loadInto: string },
  properties: Pick<DatabaseProperties, 'settings'> | undefined,
  target: Pick<OpenTarget, 'connect' | 'facts'>,
  progress: RestoreProgress,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const checks = checksOf(task, plan.target);
  const inside = async <Result>(use: (connection: Connection) => Promise<Result>): Promise<Result> => {
    const connection = await target.connect(plan.loadInto, signal);
    try {
      return await use(connection);
    } finally {
      await connection.close();
    }
  };
  const work = async <Result>(use: (connection: Connection) => Promise<Result>): Promise<Result> =>
    inside(async (connection) => {
      await connection.query('RESET search_path');
      const path = findSetting(properties, 'search_path');
      if (path !== undefined) await connection.query(`SET search_path TO ${settingValue('search_path', path)}`);
      return use(connection);
    });
  if (task.afterSql.length > 0)
    await work((connection) => runSql('afterSql', (text) => connection.query(text), task.afterSql));
  let notes: readonly string[] = [];
  if (task.options.analyze) {
    progress.at('Analyzing', plan.target);
    const tables = await inside(findAnalyzed);
    notes = await work((connection) => analyzeDatabase(connection, tables));
  }
  if (checks.length === 0) return notes;
  progress.at('Checking', plan.target);
  // Each in a session of its own: what afterSql sets there does not count here.
  await work((connection) => runChecks((sql) => askAlone(connection, sql), checks));
  return notes;
}

function findSetting(properties: Pick<DatabaseProperties, 'settings'> | undefined, name: string): string | undefined {
  const found = properties?.settings.find(({ role, setting }) => role === undefined && setting.startsWith(`${name}=`));
  return found?.setting.slice(name.length + 1);
}
