import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { inspect } from 'node:util';
import { constantFrom, integer, sample, subarray, tuple } from 'fast-check';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadScript } from '../../src/postgres/load-script.ts';
import { inPieces } from '../pipeline/streams.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { openLoadStand, type LoadStand } from './load-stand.ts';
import { oddDatabase } from './odd-database.ts';

const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
/** On each server. PGBACKUP_ODD_DATABASES=500 makes the 2 000 of a long run. */
const databases = Number(process.env['PGBACKUP_ODD_DATABASES'] ?? 8);

const forms = subarray(
  [
    '--inserts',
    '--column-inserts',
    '--clean --if-exists',
    '--quote-all-identifiers',
    '--no-owner',
    '--no-comments',
    '--schema-only',
  ],
  { maxLength: 2 },
).map((options) => options.flatMap((option) => option.split(' ')));
const outcome = async (work: Promise<unknown>): Promise<{ readonly isLoaded: boolean; readonly said: string }> =>
  work.then(
    () => ({ isLoaded: true, said: 'loaded it' }),
    (error: unknown) => ({ isLoaded: false, said: inspect(error) }),
  );
const three = ['odd_source', 'odd_ours', 'odd_psql'] as const;

describe.skipIf(binDirs.length === 0).each(binDirs)('dumps of odd databases, on a server of %s', (binDir) => {
  let stand: LoadStand;
  let admin: Client;
  beforeAll(async () => {
    stand = await openLoadStand(binDir, binDirs);
    admin = await connect('postgres');
  });
  afterAll(async () => {
    await admin?.end();
    await stand?.at.remove();
  });

  const connect = async (name: string): Promise<Client> => {
    const { socketDir, port, user, password } = stand.at.postgres;
    const client = new Client({ host: socketDir, port, user, password, database: name });
    await client.connect();
    return client;
  };
  /** Resolves with how many of them worked. */
  const fill = async (name: string, statements: readonly string[]): Promise<number> => {
    const client = await connect(name);
    let done = 0;
    try {
      for (const statement of statements) {
        await client.query(statement).then(
          () => (done += 1),
          () => undefined,
        );
      }
    } finally {
      await client.end();
    }
    return done;
  };
  /** `psql -f -`, as its users call it. */
  const psql = async (database: string, script: Buffer, isOne: boolean): Promise<void> => {
    const { environment } = await stand.at.tools();
    const child = spawn(`${binDir}/psql`, ['-X', '-q', ...(isOne ? ['-1'] : []), '-v', 'ON_ERROR_STOP=1', '-f', '-'], {
      env: { ...environment, PGDATABASE: database },
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (piece: Buffer) => (said += piece.toString()));
    child.stdin.on('error', () => undefined);
    child.stdin.end(script);
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) throw new Error(`psql ended with ${code}: ${said}`);
  };
  /** What a dump says, without what is new in each. */
  const told = async (database: string): Promise<string> => {
    const text = (await stand.script(database, ['--create'])).toString('latin1');
    return text
      .replaceAll(/^\\(un)?restrict .*$/gm, '')
      .replaceAll(`"${database}"`, 'X')
      .replaceAll(database, 'X');
  };

  test('are loaded as psql loads them', { timeout: 3_600_000 }, async () => {
    const made = sample(
      tuple(oddDatabase, forms, constantFrom('UTF8', 'UTF8', 'LATIN1', 'SQL_ASCII'), integer({ min: 1, max: 9000 })),
      {
        seed: 7 + stand.major,
        numRuns: databases,
      },
    );
    let statementsDone = 0;
    let loaded = 0;
    for (const [index, [statements, options, encoding, pieces]] of made.entries()) {
      for (const name of three) {
        await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
        await admin.query(`CREATE DATABASE ${name} ENCODING '${encoding}' LOCALE 'C' TEMPLATE template0`);
      }
      statementsDone += await fill('odd_source', statements);
      const script = await stand.script('odd_source', options);
      const about = `database ${index}, pg_dump ${options.join(' ')}, ${encoding}`;
      const theirs = await outcome(psql('odd_psql', script, index % 2 === 0));
      const open = () => inPieces(script, pieces);
      const ours = await outcome(
        loadScript(
          stand.tools,
          open,
          { database: 'odd_ours', role: undefined, singleTransaction: index % 2 === 0, part: 'whole' },
          never,
        ),
      );
      expect(ours.isLoaded, `${about}: ours ${ours.said}, psql ${theirs.said}`).toBe(theirs.isLoaded);
      if (theirs.isLoaded) loaded += 1;
      expect(await told('odd_ours'), about).toBe(await told('odd_psql'));
    }
    // Some dumps cannot be loaded by anybody.
    expect(loaded).toBeGreaterThan(databases * 0.8);
    // Most of what the generator writes is SQL.
    expect(statementsDone).toBeGreaterThan(databases * 10);
  });
});
