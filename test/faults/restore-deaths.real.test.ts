import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import type { RestoreTask } from '../../src/domain/task.ts';
import { systemClock, type Clock } from '../../src/support/clock.ts';
import { pgSecret, podUids, runWith, type RunEnd } from '../runner/run-with.ts';
import { startTwoDatabases, type TwoDatabases } from '../runner/two-databases.ts';
import { startStatementProxy, type Loss } from './statement-proxy.ts';

/** Restores beside each other. */
const lanes = 3;
const modes = ['Replace', 'Create', 'InPlace'] as const;
const losses = ['dies', 'loses', 'cuts', 'stops'] as const satisfies readonly Loss[];
type Mode = (typeof modes)[number];

let stand: TwoDatabases;
beforeAll(async () => {
  stand = await startTwoDatabases({ fill: 'CREATE TABLE t (i int); INSERT INTO t SELECT generate_series(1, 100)' });
  await stand.server.sql('CREATE DATABASE before');
  await stand.server.sql('CREATE TABLE t (i int); CREATE TABLE old (i int)', 'before');
});
afterAll(async () => stand?.stop());

function taskOf(mode: Mode, number: number): RestoreTask {
  const uid = `${number.toString(16).padStart(8, '0')}-${modes.indexOf(mode)}234-4000-8000-000000000001`;
  const rows = mode === 'InPlace' ? { select: { schemaOnly: false, dataOnly: true } } : {};
  const task = stand.taskOf({
    mode,
    ...rows,
    request: { name: 'request', uid },
    // Two is what a backup is loaded by where nobody says otherwise; InPlace has one.
    options: { jobs: mode === 'Replace' ? 2 : 1, noOwner: false, noPrivileges: false, globals: false, analyze: false },
    afterSql: ['UPDATE t SET i = i'],
    checks: [{ sql: 'SELECT count(*) >= 100 FROM t', operator: 'Equal', value: 't' }],
  });
  const target = `${mode.toLowerCase()}_${number}`;
  return { ...task, target: { ...task.target, databases: [{ source: 'shop', target }] } };
}

/** A run that meets its loss; after a death it has not to wait for anything. Asked to stop it is as by SIGTERM (src/main.ts). */
async function runUntil(task: RestoreTask, loss?: { readonly at: number; readonly how: Loss }) {
  const proxy = await startStatementProxy(stand.server, loss);
  const { databases, server } = task.target;
  let hurries = false;
  const stop = new AbortController();
  void proxy.lost.then(() => {
    hurries = loss?.how === 'dies';
    if (loss?.how === 'stops') stop.abort(new Failure('Aborted', 'stopped by SIGTERM'));
  });
  const clock = hurrying(() => hurries);
  try {
    const through = { ...task, target: { databases, server: { ...server, port: proxy.port } } };
    const { signal } = stop;
    const ended = await runWith(stand.folder, through, pgSecret(stand.server), [stand.binDir], { clock, signal });
    return { ended, statements: proxy.statements() };
  } finally {
    await proxy.stop();
  }
}

function hurrying(hurries: () => boolean): Clock {
  let skippedMs = 0;
  return {
    ...systemClock,
    nowMs: () => systemClock.nowMs(),
    monotonicMs: () => systemClock.monotonicMs() + skippedMs,
    sleep: async (milliseconds, signal) => {
      if (!hurries()) return systemClock.sleep(milliseconds, signal);
      skippedMs += milliseconds;
      return systemClock.sleep(Math.min(milliseconds, 200), signal);
    },
  };
}

/** What stands in a target; undefined: there is none. */
async function look(target: string) {
  const [there] = await stand.server.sql(`SELECT 1 FROM pg_database WHERE datname = '${target}'`);
  if (there === undefined) return undefined;
  const [rows] = await stand.server.sql<{ restored: number; written: number; old: boolean }>(
    `SELECT count(*) FILTER (WHERE i <= 100)::int AS restored, count(*) FILTER (WHERE i > 100)::int AS written,
            to_regclass('old') IS NOT NULL AS old FROM t`,
    target,
  );
  return rows;
}

/** @returns what is wrong afterwards */
async function meet(mode: Mode, at: number, how: Loss): Promise<readonly string[]> {
  const task = taskOf(mode, at + 1000 * losses.indexOf(how));
  const [{ target } = { target: '' }] = task.target.databases;
  if (mode !== 'Create') await stand.server.sql(`CREATE DATABASE ${target} TEMPLATE before STRATEGY file_copy`);
  const problems: string[] = [];
  const claim = (what: string, holds: boolean, seen?: unknown): void => {
    if (!holds) problems.push(`${what}: ${JSON.stringify(seen)}`);
  };
  const { ended, statements } = await runUntil(task, { at, how });
  const between = await look(target);
  const isDone = between?.restored === 100 && (mode === 'InPlace' || !between.old);
  if (how !== 'dies') judge(ended, isDone, claim);
  // Who is asked to stop clears up, and knows what the target is.
  if (how === 'stops') {
    claim('it heard of it', at > 5 || ended.code === 75, ended.verdict);
    claim(
      'the verdict is settled',
      ended.verdict.kind === 'restore' && ended.verdict.unsettled !== true,
      ended.verdict,
    );
    claim('nothing stayed', (await listScratch(task)).length === 0, await listScratch(task));
  }
  // An application that came as soon as it could.
  if (between !== undefined) await stand.server.sql('INSERT INTO t VALUES (4711)', target);
  const stays = between !== undefined && (mode === 'InPlace' || isDone);
  if (how === 'dies' || ended.code !== 0) {
    const again = await runWith(stand.folder, task, pgSecret(stand.server), [stand.binDir], { podUid: podUids.second });
    claim('the retry restored', again.code === 0 && again.verdict.kind === 'restore', again.verdict);
    if (isDone) claim('the retry loaded nothing', 'readBytes' in again.verdict && again.verdict.readBytes === 0);
  }
  const after = await look(target);
  claim('the rows are there once', after?.restored === 100 && (mode === 'InPlace' || !after.old), after);
  claim('what was written stays', !stays || after?.written === 1, after);
  const left = await listScratch(task);
  claim('nothing is left', left.length === 0, left);
  await stand.server.sql(`DROP DATABASE ${target} WITH (FORCE)`);
  return problems.map((problem) => `${mode} ${how} at ${at} (${statements[at - 1]}): ${problem}`);
}

async function listScratch({ request }: RestoreTask): Promise<readonly unknown[]> {
  const digits = request.uid.replaceAll('-', '').slice(0, 12);
  return stand.server.sql(`SELECT datname FROM pg_database WHERE datname ~ '^pgbackup_.*${digits}'`);
}

/** Who lost a connection, or is asked to stop, tells what the target is. */
function judge(
  { code, verdict }: RunEnd,
  isDone: boolean,
  claim: (what: string, holds: boolean, seen?: unknown) => void,
): void {
  if (verdict.kind !== 'restore' || verdict.unsettled === true) return;
  claim('the verdict is true', verdict.target === (isDone ? 'Restored' : 'Untouched'), verdict);
  claim('the verdict and its code fit', code === (isDone ? 0 : 75), [code, verdict]);
}

/** With PGBACKUP_EVERY_STATEMENT=1 all of them; else the last ten, where the end becomes known, and one of twelve before. */
function chooseMoments(statements: readonly string[]): readonly number[] {
  const all = process.env['PGBACKUP_EVERY_STATEMENT'] === '1';
  const last = statements.length - 10;
  return statements.flatMap((_, index) => (all || index >= last || index % 12 === 0 ? [index + 1] : []));
}

describe.each(modes)('A restore with mode %s', (mode) => {
  let moments: readonly number[] = [];
  beforeAll(async () => {
    const task = taskOf(mode, 0);
    const [{ target } = { target: '' }] = task.target.databases;
    if (mode !== 'Create') await stand.server.sql(`CREATE DATABASE ${target} TEMPLATE before STRATEGY file_copy`);
    const { ended, statements } = await runUntil(task);
    expect(ended.code, ended.log).toBe(0);
    moments = chooseMoments(statements);
    expect(moments.length).toBeGreaterThan(12);
  });

  test.each(losses)(
    '%s at any statement, and is tried again',
    async (how) => {
      const problems: string[] = [];
      const left = [...moments];
      const lane = async (): Promise<void> => {
        for (let at = left.shift(); at !== undefined; at = left.shift()) problems.push(...(await meet(mode, at, how)));
      };
      await Promise.all(Array.from({ length: lanes }, lane));
      expect(problems).toEqual([]);
    },
    1_200_000,
  );
});
