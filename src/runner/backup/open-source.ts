import { toFailure, type Failure } from '../../api/failure.ts';
import type { Note } from '../../domain/note.ts';
import type { BackupTask } from '../../domain/task.ts';
import type { Bytes } from '../../pipeline/bytes.ts';
import { watchSilence } from '../../pipeline/watch-silence.ts';
import { connectClient, type Connection } from '../../postgres/connection.ts';
import { dumpPulse } from '../../postgres/dump-pulse.ts';
import { dumpDatabase, dumpGlobals, type DumpTools } from '../../postgres/dump.ts';
import {
  findDatabase,
  findDatabaseNamed,
  inspectServer,
  listDatabases,
  readEncoding,
  readSizes,
} from '../../postgres/inspect.ts';
import { libpqEnvironment } from '../../postgres/libpq-environment.ts';
import { areOutdated, choosePrograms, findPrograms, findStdbuf } from '../../postgres/programs.ts';
import { applicationName, type Server } from '../../postgres/server.ts';
import { costsTheDump, isUnspoken, readFacts, readFactsFrom } from '../../postgres/read-facts.ts';
import { surveyDatabase, unknownSurvey } from '../../postgres/survey-database.ts';
import { readSettable } from '../../postgres/read-settable.ts';
import { steadied } from '../../postgres/steady-session.ts';
import { waitForServer } from '../../postgres/wait-for-server.ts';
import { readServer } from '../read-server.ts';
import { makeSecretFolder } from '../secret-folder.ts';
import type { Workshop } from '../workshop.ts';
import { idleProgress } from '../progress.ts';
import { dumpNotes, factNotes } from './dump-notes.ts';
import type { Source } from './source.ts';

const connectTimeoutMilliseconds = 30_000;
/** Sizes are nice to know. */
const sizesMilliseconds = 10_000;

/**
 * Waits for the server within the task's time, asks what it is and what it holds, and finds the programs that fit.
 * @throws Failure SecretMissing, SecretInvalid, ProgramMissing and those of connecting
 */
export async function openSource(task: BackupTask, workshop: Workshop): Promise<Source> {
  const { clock, signal } = workshop;
  const given = await readServer(task.source, workshop.secrets, signal);
  await waitUntilReachable(given, task.waitForServerSeconds * 1000, workshop);

  const queryLimitMs = workshop.stallMilliseconds;
  const { server, facts, encoding, databases, sizes } = await withConnection(
    given,
    given.database,
    queryLimitMs,
    signal,
    async (connection) => {
      const facts = await inspectServer(connection);
      return {
        server: steadied(given, {
          direct: connection.direct,
          major: facts.major,
          settable: await readSettable(connection, facts.major),
          onlyReads: true,
        }),
        facts,
        encoding: await readEncoding(connection),
        databases: await listDatabases(connection),
        sizes: await readSizes(connection, sizesMilliseconds),
      };
    },
  );
  const programs = choosePrograms(await findPrograms(workshop.programDirs, clock, signal), facts.major);
  const stdbuf = await findStdbuf();
  // Secrets of libpq lie here, readable by us alone, for as long as the dump goes on.
  const session = `${applicationName} ${workshop.attempt}`;
  const folder = await makeSecretFolder(workshop.root, workshop.random);
  const tools: DumpTools = {
    programs,
    ...(stdbuf === undefined ? {} : { stdbuf }),
    environment: { ...(await libpqEnvironment(server, folder.path)), PGAPPNAME: session },
    clock,
  };
  /** A dump of which nothing comes any more is ended, so that it fails within two or three times the limit for stalls. */
  const watched = <T extends { readonly bytes: Bytes }>(start: (until: AbortSignal) => T): T => {
    const stop = new AbortController();
    const dump = start(AbortSignal.any([signal, stop.signal]));
    const judge = dumpPulse(server, session, Math.min(connectTimeoutMilliseconds, queryLimitMs));
    const options = { limitMs: queryLimitMs, clock, judge, end: (failure: Failure) => stop.abort(failure) };
    return { ...dump, bytes: watchSilence(dump.bytes, options) };
  };
  const { lockTimeoutSeconds, rolePasswords, globals: _globals, ...selection } = task.dump;
  return {
    server: facts,
    pgDumpVersion: programs.version,
    notes: areOutdated(programs, facts) ? [tellOutdated(programs.version, facts.version)] : [],
    databases: databases.map((database) => {
      const bytes = sizes.get(database.oid);
      return { ...database, ...(bytes === undefined ? {} : { bytes }) };
    }),
    find: (oid) =>
      withConnection(server, server.database, queryLimitMs, signal, (connection) => findDatabase(connection, oid)),
    findNamed: (name) =>
      withConnection(server, server.database, queryLimitMs, signal, (connection) =>
        findDatabaseNamed(connection, name),
      ),
    look: async (database) => {
      const connect = <T>(to: string, work: (connection: Connection) => Promise<T>): Promise<T> =>
        withConnection(server, to, queryLimitMs, signal, work);
      try {
        return await connect(database, async (connection) => ({
          ...(await readFacts(connection, facts.major)),
          survey: await surveyDatabase(connection, facts.major).catch((error: unknown) => {
            if (costsTheDump(error)) throw error;
            return unknownSurvey;
          }),
        }));
      } catch (error) {
        if (!isUnspoken(error)) throw error;
        // pg_dump speaks the encoding of the database, whichever it is.
        const read = await connect(server.database, (other) => readFactsFrom(other, database, facts.major));
        return { ...read, survey: unknownSurvey };
      }
    },
    dump: (database, { facts: { encoding: own }, missing, survey }) => {
      const { internalOptions } = survey;
      const options = { selection, lockTimeoutSeconds, internalOptions, encoding: own };
      const dump = watched((until) => dumpDatabase(tools, database, options, until));
      return { ...dump, notes: () => [...factNotes(missing), ...dumpNotes(dump, survey, selection)] };
    },
    dumpGlobals: () => {
      const options = { rolePasswords, lockTimeoutSeconds, encoding };
      return watched((until) => dumpGlobals(tools, server.database, options, until));
    },
    answers: async (milliseconds) => {
      try {
        await waitUntilReachable(server, milliseconds, workshop);
        return true;
      } catch (error) {
        signal.throwIfAborted();
        workshop.log.warn('the server does not let us in again', { error: toFailure(error).message });
        return false;
      }
    },
    close: () => folder.remove(),
  };
}

function tellOutdated(programs: string, server: string): Note {
  const [older, newer] = [programs, server].map((version) => version.split(' ')[0]);
  return {
    reason: 'ProgramsOutdated',
    message: `pg_dump ${older} is older than the server, ${newer}: use a newer image`,
  };
}

async function waitUntilReachable(server: Server, budgetMs: number, workshop: Workshop): Promise<void> {
  const { clock, lines, signal } = workshop;
  let toldAtMs = Number.NEGATIVE_INFINITY;
  await waitForServer(
    server,
    {
      budgetMs,
      clock,
      onWaiting: ({ message }) => {
        if (clock.monotonicMs() - toldAtMs < 5_000) return;
        toldAtMs = clock.monotonicMs();
        lines.progress({ ...idleProgress, waiting: 'WaitingForServer', detail: message });
      },
    },
    signal,
  );
}

async function withConnection<T>(
  server: Server,
  database: string,
  queryLimitMs: number,
  signal: AbortSignal,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const options = { timeoutMs: connectTimeoutMilliseconds, queryLimitMs };
  const connection = await connectClient(server, database, options, signal);
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}
