import { Failure } from '../api/failure.ts';

/** A session as it is looked at; statements as simple queries. */
export interface Look {
  /** Process of the server that the login was told, for cancelling: a pooler makes one up. */
  readonly toldPid: number | undefined;
  rows(text: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
}

/** Pools that hand out their sessions in turn come to another one within this many transactions. */
const turns = 4;
/** While a second login holds one session and applications all others but one, ours is often the one that is free again first. */
const turnsBeside = 24;

/**
 * Everything within one transaction, and settings only for it: nothing stays in a session that an application gets next. A timeout of
 * the role must not strike here, either.
 */
const askPid = `BEGIN; SET LOCAL statement_timeout = 0; SELECT pg_catalog.pg_backend_pid() AS pid; COMMIT`;

/**
 * Finds out whether the session is ours alone. A pooler is recognised because the server's process is another one than the login was
 * told; then it is looked whether the process stays while we are idle: when somebody else (a second login of ours) gets it, or we
 * get another one, the pool works by transactions or statements.
 * @param second logs in once more, if it can be had soon; a pool of one session makes it wait, and that is an answer, too
 * @returns whether the server itself is at the other end
 * @throws Failure TransactionPooling
 */
export async function judgePooling(
  first: Look,
  second: () => Promise<(Look & { close(): Promise<void> }) | undefined>,
): Promise<{ readonly direct: boolean }> {
  const pid = await ask(first);
  if (pid === first.toldPid) return { direct: true };
  for (let turn = 1; turn < turns; turn++) if ((await ask(first)) !== pid) throw shared();
  const other = await second();
  if (other === undefined) return { direct: false };
  try {
    await refuseIfShared(first, other, pid);
  } finally {
    await other.close();
  }
  return { direct: false };
}

async function refuseIfShared(first: Look, other: Look, pid: number): Promise<void> {
  let theirs: number;
  try {
    await other.rows('BEGIN');
    theirs = await readPid(other, 'SELECT pg_catalog.pg_backend_pid() AS pid');
  } catch (error) {
    if (error instanceof Error && /statement pooling/i.test(error.message)) throw shared(error);
    // It got no session of its own in time: then nobody shares them.
    return;
  }
  // While it holds its session, ours must still be ours.
  if (theirs === pid) throw shared();
  for (let turn = 0; turn < turnsBeside; turn++) if ((await ask(first)) !== pid) throw shared();
  await other.rows('ROLLBACK').catch(() => undefined);
}

function ask(look: Look): Promise<number> {
  return readPid(look, askPid);
}

async function readPid(look: Look, text: string): Promise<number> {
  const pid = (await look.rows(text))[0]?.['pid'];
  if (typeof pid === 'number') return pid;
  throw new Failure('Internal', 'the server tells no process');
}

function shared(cause?: unknown): Failure {
  return new Failure('TransactionPooling', 'a pooler hands every transaction to another session of the server', {
    hint: 'Connect to the server itself, or to a pool with session pooling (PgBouncer: pool_mode = session).',
    cause,
  });
}
