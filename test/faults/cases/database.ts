import { Client } from 'pg';
import { startPostgres, type Postgres } from '../../servers/postgres.ts';
import { join } from 'node:path';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import type { Arranged, FaultCase } from '../fault-case.ts';
import { randomSecret, type FaultStand } from '../fault-stand.ts';
import { seedLargeDatabase, type Size } from '../seed-databases.ts';
import { backupNamed, until } from '../waiting.ts';

const middle = 5_000_000;
const largeMiddle = 150_000_000;
const none = async (): Promise<void> => undefined;

/** One database behind a proxy of its own, and one folder. */
async function arrangeOne(stand: FaultStand, name: string, size: Size = 'small'): Promise<Arranged> {
  await stand.makeDatabase(name, size);
  return {
    places: [await stand.makeFolder(name)],
    postgres: await stand.postgresProxy(),
    databases: [name],
    lift: none,
  };
}

/** pg_dump is held after so many bytes that it read, then something happens to its connection. */
function meetInMiddle<A extends Arranged>(
  arranged: A,
  bytes: number,
  happens: (arranged: A) => Promise<unknown>,
): Arranged {
  const { postgres } = arranged;
  return {
    ...arranged,
    arm: async () => {
      postgres.plan = () => ({ cut: { toClient: bytes, how: 'stall' } });
    },
    during: async () => {
      await until('pg_dump is in the middle', () => postgres.cuts() > 0);
      await happens(arranged);
      postgres.plan = () => ({});
      postgres.release();
    },
  };
}

/** One of three databases, or all, have a pg_dump that is a script. */
async function wrapDumps(stand: FaultStand, name: string, count: number, script: string, broken: readonly number[]) {
  const databases = Array.from({ length: count }, (_, index) => `${name}-${index + 1}`);
  for (const database of databases) await stand.makeDatabase(database, 'big');
  const places = [await stand.makeFolder(name)];
  const wrap = async (text: string | undefined): Promise<void> => {
    for (const index of broken) await stand.wrapProgram(databases[index - 1] ?? '', text);
  };
  return {
    places,
    postgres: await stand.postgresProxy(),
    databases,
    arm: () => wrap(script),
    lift: () => wrap(undefined),
  } satisfies Arranged;
}

/** A server of its own, for what would hurt other cases. */
async function ownServer(stand: FaultStand, name: string): Promise<Postgres> {
  const { binDir, folder, tls } = stand;
  const server = await startPostgres({ binDir, dir: join(folder, name), ...(tls === undefined ? {} : { tls }) });
  stand.onStop(() => server.stop());
  await stand.putSecret(name, { username: server.user, password: server.password });
  return server;
}

async function makeLogin(stand: FaultStand, name: string, password: string): Promise<void> {
  await stand.server.sql(`CREATE ROLE "${name}" LOGIN SUPERUSER PASSWORD '${password}'`);
  await stand.putSecret(name, { username: name, password });
}

const failed = (reason: FaultCase['expect']['reason'] & FaultCase['expect']['destinations'][number]) =>
  ({ succeeded: 'False', reason, destinations: [reason] }) as FaultCase['expect'];

export const databaseCases: readonly FaultCase[] = [
  {
    name: 'server-restarted',
    room: 'database',
    fault: 'the server is stopped at once (as in a crash) and started again in the middle of a dump',
    dump: 'large',
    arrange: async (stand, name) => {
      const server = await ownServer(stand, name);
      await seedLargeDatabase(server, 'restarted', stand.blobsFile);
      const arranged = {
        places: [await stand.makeFolder(name)],
        postgres: await stand.postgresProxy(server),
        server,
        login: name,
        databases: ['restarted'],
        lift: none,
      };
      return meetInMiddle(arranged, largeMiddle, () => server.restart());
    },
    expect: failed('ConnectionLost'),
  },
  {
    name: 'backend-terminated',
    room: 'database',
    fault: 'an administrator terminates the backend in the middle of a dump',
    arrange: async (stand, name) =>
      meetInMiddle(await arrangeOne(stand, name, 'huge'), middle, () =>
        stand.server.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`),
      ),
    expect: failed('ConnectionLost'),
  },
  {
    name: 'connection-stalls-then-breaks',
    room: 'database',
    fault: 'the connection stalls in the middle of a dump and is then reset',
    arrange: async (stand, name) =>
      meetInMiddle(await arrangeOne(stand, name, 'huge'), middle, async ({ postgres }) => {
        postgres.plan = () => ({});
        postgres.resetAll();
      }),
    expect: failed('ConnectionLost'),
  },
  ...(['reset', 'close'] as const).map((how): FaultCase => ({
    name: `connection-${how}`,
    room: 'database',
    fault: `the connection is ${how === 'reset' ? 'reset' : 'closed'} after 5 MB`,
    arrange: async (stand, name) => {
      const arranged = await arrangeOne(stand, name, 'big');
      const { postgres } = arranged;
      return {
        ...arranged,
        arm: async () => {
          postgres.plan = () => ({ cut: { toClient: middle, how } });
        },
        met: () => postgres.cuts() > 0,
        lift: async () => {
          postgres.plan = () => ({});
        },
      };
    },
    expect: failed('ConnectionLost'),
  })),
  {
    name: 'slow-connection',
    room: 'database',
    fault: 'each answer of the server comes 5 ms late',
    arrange: async (stand, name) => {
      const arranged = await arrangeOne(stand, name);
      arranged.postgres.plan = () => ({ answerDelayMs: 5 });
      return arranged;
    },
    expect: { succeeded: 'True', reason: 'Succeeded', destinations: ['Stored'] },
  },
  {
    name: 'server-gone',
    room: 'database',
    fault: 'nothing listens where the server should be',
    arrange: async (stand, name) => {
      const arranged = await arrangeOne(stand, name);
      return { ...arranged, arm: () => arranged.postgres.refuse(), lift: () => arranged.postgres.accept() };
    },
    expect: failed('ServerUnreachable'),
  },
  {
    name: 'server-comes-late',
    room: 'database',
    fault: 'nothing listens at first; the server comes while the run waits for it',
    arrange: async (stand, name) => {
      const arranged = await arrangeOne(stand, name);
      return {
        ...arranged,
        spec: { runner: { waitForServerSeconds: 300 } },
        arm: () => arranged.postgres.refuse(),
        during: async ({ backup, isOver }) => {
          await until('the run says that it waits', () => {
            const found = backupNamed(stand.operator, backup);
            if (isOver()) throw new Error(`it ended: ${JSON.stringify(found?.status)}`);
            return found?.status?.conditions?.some(({ reason }) => reason === 'WaitingForServer');
          });
          await arranged.postgres.accept();
        },
      };
    },
    expect: { succeeded: 'True', reason: 'Succeeded', destinations: ['Stored'] },
  },
  {
    name: 'table-denied',
    room: 'database',
    fault: 'the user may not read one table of one of two databases',
    arrange: async (stand, name) => {
      const [open, closed] = [`${name}-1`, `${name}-2`];
      for (const database of [open, closed]) await stand.makeDatabase(database, 'small');
      const password = randomSecret();
      await stand.server.sql(`CREATE ROLE "${name}" LOGIN PASSWORD '${password}'`);
      await stand.putSecret(name, { username: name, password });
      for (const database of [open, closed]) await stand.server.sql(`GRANT SELECT ON orders TO "${name}"`, database);
      await stand.server.sql(`GRANT SELECT ON notes TO "${name}"`, open);
      return {
        places: [await stand.makeFolder(name)],
        postgres: await stand.postgresProxy(),
        databases: [open, closed],
        login: name,
        lift: async () => void (await stand.server.sql(`GRANT SELECT ON notes TO "${name}"`, closed)),
      };
    },
    expect: {
      succeeded: 'False',
      reason: 'DatabaseFailed',
      destinations: ['Stored'],
      stored: ['table-denied-1'],
      failed: { 'table-denied-2': 'PermissionDenied' },
    },
  },
  {
    name: 'table-locked',
    room: 'database',
    fault: 'somebody holds a lock on a table for longer than dump.lockTimeoutSeconds',
    arrange: async (stand, name) => {
      const arranged = await arrangeOne(stand, name);
      const { host, port, user, password } = stand.server;
      const client = new Client({ host, port, user, password, database: name });
      client.on('error', () => undefined);
      await client.connect();
      stand.onStop(() => client.end());
      return {
        ...arranged,
        spec: { dump: { lockTimeoutSeconds: 1 } },
        arm: async () => void (await client.query('BEGIN; LOCK TABLE notes IN ACCESS EXCLUSIVE MODE')),
        lift: async () => void (await client.query('COMMIT')),
      };
    },
    expect: failed('LockTimeout'),
  },
  {
    name: 'wrong-password',
    room: 'database',
    fault: 'the password in the Secret is another one',
    arrange: async (stand, name) => {
      const arranged = await arrangeOne(stand, name);
      const password = randomSecret();
      await makeLogin(stand, name, password);
      return {
        ...arranged,
        login: name,
        arm: () => stand.putSecret(name, { username: name, password: 'another' }),
        lift: () => stand.putSecret(name, { username: name, password }),
      };
    },
    expect: failed('AuthenticationFailed'),
  },
  {
    name: 'dump-killed',
    room: 'database',
    fault: 'pg_dump is killed (SIGKILL) after 6 MB',
    arrange: (stand, name) => wrapDumps(stand, name, 1, '"$REAL" "$@" 2>/dev/null | head -c 6000000; kill -9 $$', [1]),
    expect: failed('DumpFailed'),
  },
  {
    name: 'dump-fails-late',
    room: 'database',
    fault: 'pg_dump writes everything but the last bytes and ends with exit code 1',
    arrange: (stand, name) =>
      wrapDumps(stand, name, 1, `"$REAL" "$@" | head -c -100; echo 'pg_dump: error: lost' >&2; exit 1`, [1]),
    expect: failed('DumpFailed'),
  },
  {
    name: 'dump-empty',
    room: 'database',
    fault: 'pg_dump ends well and wrote nothing',
    arrange: (stand, name) => wrapDumps(stand, name, 1, 'exit 0', [1]),
    expect: failed('DumpEmpty'),
  },
  {
    name: 'one-of-three-fails',
    room: 'database',
    fault: 'the dump of the second of three databases dies in the middle',
    arrange: (stand, name) =>
      wrapDumps(stand, name, 3, `"$REAL" "$@" | head -c 6000000; echo 'pg_dump: error: lost' >&2; exit 1`, [2]),
    expect: {
      succeeded: 'False',
      reason: 'DatabaseFailed',
      destinations: ['Stored'],
      stored: ['one-of-three-fails-1', 'one-of-three-fails-3'],
      failed: { 'one-of-three-fails-2': 'DumpFailed' },
    },
  },
  {
    name: 'all-of-two-fail',
    room: 'database',
    fault: 'the dumps of all databases fail',
    arrange: (stand, name) =>
      wrapDumps(stand, name, 2, `"$REAL" "$@" | head -c 6000000; echo 'pg_dump: error: lost' >&2; exit 1`, [1, 2]),
    expect: {
      ...failed('DumpFailed'),
      stored: [],
      failed: { 'all-of-two-fail-1': 'DumpFailed', 'all-of-two-fail-2': 'DumpFailed' },
    },
  },
  {
    name: 'globals-fail',
    room: 'database',
    fault: 'pg_dumpall of the globals breaks off',
    arrange: async (stand, name) => {
      const arranged = await arrangeOne(stand, name);
      const script = `"$REAL" "$@" | head -c 300; echo 'pg_dumpall: error: lost' >&2; exit 1`;
      return {
        ...arranged,
        spec: { dump: { globals: true }, maintenanceDatabase: name },
        arm: () => stand.wrapProgram(`globals-${name}`, script),
        lift: () => stand.wrapProgram(`globals-${name}`, undefined),
      };
    },
    expect: {
      succeeded: 'False',
      reason: 'DatabaseFailed',
      destinations: ['Stored'],
      stored: ['globals-fail'],
      failed: { '(globals)': 'DumpFailed' },
    },
  },
  {
    name: 'database-dropped',
    room: 'database',
    fault: 'a database that the policy names is dropped after the list was read and before its turn',
    arrange: async (stand, name) => {
      const [first, second] = [`${name}-1`, `${name}-2`];
      for (const database of [first, second]) await stand.makeDatabase(database, 'small');
      const [reached, go] = [join(stand.folder, `${name}-reached`), join(stand.folder, `${name}-go`)];
      return {
        places: [await stand.makeFolder(name)],
        postgres: await stand.postgresProxy(),
        databases: [first, second],
        arm: () => stand.wrapProgram(first, `touch "${reached}"; until [ -e "${go}" ]; do sleep 0.02; done`),
        during: async () => {
          await until('the first database is being dumped', () => existsSync(reached));
          await stand.server.sql(`DROP DATABASE "${second}"`);
          await writeFile(go, '');
        },
        lift: () => stand.makeDatabase(second, 'small'),
      };
    },
    expect: {
      succeeded: 'False',
      reason: 'DatabaseFailed',
      destinations: ['Stored'],
      stored: ['database-dropped-1'],
      failed: { 'database-dropped-2': 'DatabaseMissing' },
    },
  },
];
