import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RestoreTask } from '../../src/domain/task.ts';
import { connectClient, type Connection } from '../../src/postgres/connection.ts';
import { chooseMeans } from '../../src/runner/restore/plan/choose-means.ts';
import { takeApart } from '../../src/runner/restore/wanted.ts';
import { temporaryPostgres, type TemporaryPostgres } from '../postgres/temporary-postgres.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { restoreTaskOf } from './restore-task-of.ts';

const never = new AbortController().signal;
const binDir = (await listBinDirs(process.env['POSTGRES_BINDIRS'])).at(-1) ?? '';

let at: TemporaryPostgres;
beforeAll(async () => {
  at = await temporaryPostgres({ binDir, settings: { max_connections: '20' } });
  await at.postgres.sql(
    `CREATE ROLE plain LOGIN PASSWORD 'plain'; CREATE ROLE few LOGIN PASSWORD 'few' CONNECTION LIMIT 3`,
  );
});
afterAll(() => at?.remove());

const means = async (user: string, changes: Partial<RestoreTask> = {}, direct = true) => {
  const server = { ...at.server, ...(user === 'postgres' ? {} : { user, password: user }) };
  const connection: Connection = await connectClient(server, 'postgres', { timeoutMs: 10_000 }, never);
  try {
    const task = restoreTaskOf(server, [], { options: { ...options }, ...changes });
    return await chooseMeans(takeApart(task).load, { query: connection.query.bind(connection), direct });
  } finally {
    await connection.close();
  }
};
const options = { noOwner: false, noPrivileges: false, globals: false, analyze: true };
const file: RestoreTask['source'] = {
  file: { location: { name: 'a', place: { directory: { path: '/a' } } }, key: 'b' },
};
const settings = { synchronous_commit: 'off', maintenance_work_mem: '256MB' };

test('a backup is loaded by two connections where there is room for them', async () => {
  expect(await means('plain')).toEqual({ jobs: 2, jobsByDefault: true, settings });
  expect(await means('few')).toMatchObject({ jobs: 1, jobsByDefault: true });
  expect(await means('plain', {}, false)).toMatchObject({ jobs: 1 });
  expect(await means('plain', { source: file })).toMatchObject({ jobs: 1 });
});

test('a server that is nearly full is not filled', async () => {
  const others: Connection[] = [];
  for (let more = 0; more < 13; more += 1) {
    others.push(
      await connectClient({ ...at.server, user: 'plain', password: 'plain' }, 'postgres', { timeoutMs: 10_000 }, never),
    );
  }
  try {
    expect(await means('plain')).toMatchObject({ jobs: 1 });
  } finally {
    for (const other of others) await other.close();
  }
});

test('what is asked for counts, and in place nothing is set', async () => {
  const asked = { ...options, jobs: 7, maintenanceWorkMem: '1GB', synchronousCommit: true };
  expect(await means('few', { options: asked })).toEqual({ jobs: 7, settings: { maintenance_work_mem: '1GB' } });
  expect(await means('plain', { mode: 'InPlace' })).toEqual({ jobs: 1 });
});

test('a server that gives more memory by itself keeps it', async () => {
  await at.postgres.sql(`ALTER ROLE plain SET maintenance_work_mem = '300MB'`);
  expect(await means('plain')).toMatchObject({ settings: { synchronous_commit: 'off' } });
  expect((await means('plain')).settings).not.toHaveProperty('maintenance_work_mem');
});
