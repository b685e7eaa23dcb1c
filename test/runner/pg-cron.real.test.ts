import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RestoreTask } from '../../src/domain/task.ts';
import { scratchName } from '../../src/runner/restore/target/scratch-names.ts';
import { hasExtension } from '../servers/has-extension.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { asFile, listAll } from './restore-task-of.ts';
import { pgSecret, runWith, type RunEnd } from './run-with.ts';
import { startTwoDatabases, type TwoDatabases } from './two-databases.ts';

const [binDir = ''] = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const isThere = await hasExtension(binDir, 'pg_cron');

describe.skipIf(!isThere)('a database with pg_cron (Debian has it as postgresql-15-cron)', () => {
  let stand: TwoDatabases;
  beforeAll(async () => {
    stand = await startTwoDatabases({
      settings: { shared_preload_libraries: 'pg_cron', 'cron.database_name': 'shop' },
      fill: `CREATE TABLE t (i int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 100);
        DO $$ BEGIN IF current_database() = 'shop' THEN CREATE EXTENSION pg_cron;
          EXECUTE $s$ SELECT cron.schedule('0 3 * * *', 'SELECT 1') $s$; END IF; END $$`,
    });
  });
  afterAll(async () => stand?.stop());

  const only = (target: string, changes: Partial<RestoreTask>): RestoreTask => {
    const task = stand.taskOf(changes);
    return { ...task, target: { ...task.target, databases: [{ source: 'shop', target }] } };
  };
  const run = (task: RestoreTask): Promise<RunEnd> =>
    runWith(stand.folder, task, pgSecret(stand.server), [stand.binDir]);
  const look = (database: string): Promise<unknown> =>
    stand.server.sql(
      `SELECT (SELECT count(*) FROM t)::int AS rows, (SELECT string_agg(command, ' ') FROM cron.job) AS jobs,
              (SELECT string_agg(polname, ' ' ORDER BY polname) FROM pg_policy) AS policies,
              (SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'pg_cron') AS schema`,
      database,
    );
  const whole = {
    rows: 100,
    jobs: 'SELECT 1',
    policies: 'cron_job_policy cron_job_run_details_policy',
    schema: 'public',
  };

  test.each([1, 2])(
    'replaces its own, with its jobs, its policies and no other database left (jobs: %s)',
    async (jobs) => {
      const before = await listAll(stand.server);
      const options = { jobs, noOwner: false, noPrivileges: false, globals: false, analyze: true };
      const ended = await run(only('shop', { options }));
      expect([ended.verdict.message, ended.verdict], ended.log).toMatchObject([undefined, { target: 'Restored' }]);
      expect(await look('shop')).toEqual([whole]);
      expect(await listAll(stand.server)).toEqual(before);
    },
  );

  test('says that its scheduler has ended with the one that was replaced; as the note says, a restart brings it back', async () => {
    const scheduler = async (): Promise<unknown> =>
      stand.server.sql(`SELECT datname FROM pg_stat_activity WHERE application_name ~ 'pg_cron scheduler'`);
    await stand.server.restart();
    await expect.poll(scheduler, { timeout: 60_000 }).toEqual([{ datname: 'shop' }]);
    const ended = await run(only('shop', {}));
    expect(ended.results, ended.log).toMatchObject([
      { kind: 'restored', notes: [expect.stringContaining('no job runs until the server is restarted')] },
    ]);
    expect(await scheduler()).toEqual([]);
    await stand.server.restart();
    await expect.poll(scheduler, { timeout: 60_000 }).toEqual([{ datname: 'shop' }]);
    expect(await look('shop')).toEqual([whole]);
  });

  test('is made anew under a name that pg_cron would not take; also from a file', async () => {
    for (const task of [only('copy', { mode: 'Create' }), await asFile(only('copied', { mode: 'Create' }))]) {
      const ended = await run(task);
      expect([ended.verdict.message, ended.verdict], ended.log).toMatchObject([undefined, { target: 'Restored' }]);
      expect(await look(task.target.databases[0]?.target ?? '')).toEqual([whole]);
    }
  });

  test('goes in place into a new database of its name, and into no other', async () => {
    await stand.server.sql('CREATE DATABASE other');
    const wrong = await run(only('other', { mode: 'InPlace' }));
    expect(wrong, wrong.log).toMatchObject({ code: 66, verdict: { reason: 'ExtensionMissing', target: 'Untouched' } });
    expect(wrong.verdict.hint).toContain('without: [extensions]');
    const options = { noOwner: false, noPrivileges: false, globals: false, analyze: true };
    const left = await run(only('other', { mode: 'InPlace', options: { ...options, without: ['extensions'] } }));
    expect([left.verdict.message, left.verdict], left.log).toMatchObject([undefined, { target: 'Restored' }]);
    await stand.server.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop' AND pid <> pg_backend_pid()`,
    );
    await stand.server.sql('ALTER DATABASE shop RENAME TO old');
    await stand.server.sql('CREATE DATABASE shop');
    const right = await run(only('shop', { mode: 'InPlace' }));
    expect([right.verdict.message, right.verdict], right.log).toMatchObject([undefined, { target: 'Restored' }]);
    expect(await look('shop')).toEqual([whole]);
  });

  test('is told before the load when the other name is taken; what an earlier try left there is dropped', async () => {
    await stand.server.sql('CREATE DATABASE contrib_regression');
    const task = only('third', { mode: 'Create' });
    const busy = await run(task);
    expect(busy, busy.log).toMatchObject({ verdict: { reason: 'TargetBusy', target: 'Untouched' } });
    expect(busy.verdict.hint).toContain('cron.database_name');
    expect((await listAll(stand.server)).filter((name) => name.startsWith('pgbackup_'))).toEqual([]);
    await stand.server.sql(
      `COMMENT ON DATABASE contrib_regression IS '${scratchName(task.request.uid, '01234567', 0)}'`,
    );
    const ended = await run(task);
    expect([ended.verdict.message, ended.verdict], ended.log).toMatchObject([undefined, { target: 'Restored' }]);
    expect(await listAll(stand.server)).not.toContain('contrib_regression');
  });
});
