import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { describeMore, describeSchema, makeNasty, quote } from './nasty-database.ts';
import { listAll, restoreTaskOf } from './restore-task-of.ts';
import { checksumTables } from './restore-with-stock-tools.ts';
import { backupTaskOf, pgSecret, runWith, type RunEnd } from './run-with.ts';
import { placeKinds, required, startStand, type Stand } from './stand.ts';
import type { RestoreTask, TaskLocation } from '../../src/domain/task.ts';

const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const nasty = "Nä\"st\\y; 'one' 象";

let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(async () => {
  await stand.stop();
});

describe.each(binDirs.map((binDir) => [basename(dirname(binDir)), binDir]))('PostgreSQL %s', (major, binDir) => {
  let server: Postgres;
  let places: Readonly<Record<(typeof placeKinds)[number], TaskLocation>>;
  let schema: string;
  let sums: unknown;
  let more: unknown;
  let plainBytes: number;
  beforeAll(async () => {
    server = await startPostgres({ binDir, dir: join(stand.folder, `pg${major}`) });
    await makeNasty(server, nasty);
    places = await stand.fresh();
    const task = backupTaskOf(server, {
      databases: { names: [nasty] },
      destinations: required(...placeKinds.map((kind) => places[kind])),
      volumeBytes: 64 * 1024,
      dump: { globals: false, rolePasswords: false, lockTimeoutSeconds: 60 },
    });
    const ended = await runWith(stand.folder, task, secrets(), [binDir]);
    expect(ended.verdict).toMatchObject({ kind: 'backup', verdict: 'Succeeded' });
    plainBytes = ended.verdict.kind === 'backup' ? ended.verdict.plainBytes : 0;
    schema = await describeSchema(server, nasty);
    sums = await checksumTables(server, nasty);
    more = await describeMore(server, nasty);
  });
  afterAll(async () => {
    await server?.stop();
  });

  const secrets = () => ({ ...stand.secrets, ...pgSecret(server) });
  const run = (changes: Partial<RestoreTask>, copies = [places.directory]): Promise<RunEnd> =>
    runWith(stand.folder, restoreTaskOf(server, copies, changes), secrets(), [binDir]);

  test('a replaced database is what was dumped, and keeps what it is itself', async () => {
    const before = await listAll(server);
    // What was changed since the backup is gone afterwards; what the database itself is, stays.
    await server.sql('CREATE TABLE public.later (i int); DROP SCHEMA "sch éma ""x"" 象" CASCADE', nasty);
    for (const kind of placeKinds) {
      const ended = await run({ target: targetOf([nasty, nasty]) }, [places[kind]]);
      expect(ended.verdict).toMatchObject({ kind: 'restore', verdict: 'Succeeded', target: 'Restored', plainBytes });
      expect(ended.code).toBe(0);
      expect(ended.results).toMatchObject([{ kind: 'restored', source: nasty, target: nasty, outcome: 'Restored' }]);
      expect(await describeSchema(server, nasty)).toBe(schema);
      expect(await checksumTables(server, nasty)).toEqual(sums);
      expect(await describeMore(server, nasty)).toEqual(more);
      expect(await listAll(server)).toEqual(before);
    }
  });

  test('a created database is what was dumped, under another name, and refuses to be created again', async () => {
    const copy = 'copy of "it"';
    const ended = await run({ mode: 'Create', target: targetOf([nasty, copy]), options: { ...options, jobs: 2 } });
    expect(ended.verdict).toMatchObject({ verdict: 'Succeeded', target: 'Restored', plainBytes });
    expect(renamed(await describeSchema(server, copy), copy, nasty)).toBe(schema);
    expect(await checksumTables(server, copy)).toEqual(sums);
    const before = await listAll(server);
    const again = await run({ mode: 'Create', target: targetOf([nasty, copy]) });
    expect(again).toMatchObject({ code: 73, verdict: { reason: 'TargetExists', target: 'Untouched' } });
    expect(await listAll(server)).toEqual(before);
    await server.sql(`DROP DATABASE ${quote(copy)}`);
  });

  const options = { noOwner: false, noPrivileges: false, globals: false, analyze: true };
  const targetOf = (...pairs: readonly (readonly [string, string])[]): RestoreTask['target'] => ({
    ...restoreTaskOf(server, []).target,
    databases: pairs.map(([source, target]) => ({ source, target })),
  });
});

/** A dump with another name of the database: in statements quoted, in comments not. */
function renamed(dump: string, from: string, to: string): string {
  return dump.replaceAll(quote(from), quote(to)).replaceAll(from, to);
}
