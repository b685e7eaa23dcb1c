import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toFailure } from '../../api/failure.ts';
import type { Note } from '../../domain/note.ts';
import { runnerFiles, type BackupTask } from '../../domain/task.ts';
import { connectClient } from '../../postgres/connection.ts';
import { dumpDatabase, dumpGlobals, type DumpTools } from '../../postgres/dump.ts';
import { inspectDatabase, inspectServer, listDatabases } from '../../postgres/inspect.ts';
import { libpqEnvironment } from '../../postgres/libpq-environment.ts';
import { areOutdated, choosePrograms, findPrograms, findStdbuf } from '../../postgres/programs.ts';
import type { Server } from '../../postgres/server.ts';
import { surveyDatabase } from '../../postgres/survey-database.ts';
import { waitForServer } from '../../postgres/wait-for-server.ts';
import { readServer } from '../read-server.ts';
import type { Workshop } from '../workshop.ts';
import { idleProgress } from '../progress.ts';
import { dumpNotes } from './dump-notes.ts';
import type { Source } from './source.ts';

const connectTimeoutMilliseconds = 30_000;

/**
 * Waits for the server within the task's time, asks what it is and what it holds, and finds the programs that fit.
 * @throws Failure SecretMissing, SecretInvalid, ProgramMissing and those of connecting
 */
export async function openSource(task: BackupTask, workshop: Workshop): Promise<Source> {
  const { clock, signal } = workshop;
  const server = await readServer(task.source, workshop.secrets, signal);
  await waitUntilReachable(server, task.waitForServerSeconds * 1000, workshop);

  const { facts, databases } = await withConnection(server, server.database, signal, async (connection) => ({
    facts: await inspectServer(connection),
    databases: await listDatabases(connection),
  }));
  const programs = choosePrograms(await findPrograms(workshop.programDirs, clock, signal), facts.major);
  const stdbuf = await findStdbuf();
  // Secrets of libpq lie here, readable by us alone, for as long as the dump goes on.
  const folder = join(workshop.root, runnerFiles.work, 'libpq');
  await mkdir(join(workshop.root, runnerFiles.work), { recursive: true });
  await rm(folder, { recursive: true, force: true });
  const tools: DumpTools = {
    programs,
    ...(stdbuf === undefined ? {} : { stdbuf }),
    environment: await libpqEnvironment(server, folder),
    clock,
  };
  const { lockTimeoutSeconds, rolePasswords, globals: _globals, ...selection } = task.dump;
  return {
    server: facts,
    pgDumpVersion: programs.version,
    notes: areOutdated(programs, facts) ? [tellOutdated(programs.version, facts.version)] : [],
    databases: databases.map(({ name, sizeBytes }) => ({
      name,
      ...(sizeBytes === undefined ? {} : { bytes: sizeBytes }),
    })),
    look: (database) =>
      withConnection(server, database, signal, async (connection) => ({
        facts: await inspectDatabase(connection, facts.major),
        survey: await surveyDatabase(connection, facts.major),
      })),
    dump: (database, { survey }) => {
      const { internalOptions } = survey;
      const dump = dumpDatabase(tools, database, { selection, lockTimeoutSeconds, internalOptions }, signal);
      return { ...dump, notes: () => dumpNotes(dump, survey) };
    },
    dumpGlobals: () => dumpGlobals(tools, server.database, { rolePasswords, lockTimeoutSeconds }, signal),
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
    close: () => rm(folder, { recursive: true, force: true }),
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
  signal: AbortSignal,
  work: (connection: Awaited<ReturnType<typeof connectClient>>) => Promise<T>,
): Promise<T> {
  const connection = await connectClient(server, database, { timeoutMs: connectTimeoutMilliseconds }, signal);
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}
