import { Failure } from '../api/failure.ts';
import { aborted } from '../pipeline/aborted.ts';
import type { Bytes } from '../pipeline/bytes.ts';
import { copyDone, copyFail, copyHead, flush, runStatement, sync, terminate } from './client-messages.ts';
import { connectFailure } from './connect-failure.ts';
import { decodeNames } from './decode-names.ts';
import { logIn } from './log-in.ts';
import { fromServer, readRow } from './server-messages.ts';
import { serverAddress, type Server } from './server.ts';
import { readStatementError, type StatementError } from './statement-error.ts';
import { loadSettings } from './steady-session.ts';

/** Transactions as the server tells them when it is ready: none, in one, in one that has failed. */
export type TransactionStatus = 'none' | 'open' | 'failed';

export interface Answer {
  /** What the server calls what it did, such as `COMMIT` or `INSERT 0 1`; empty for an empty statement. */
  readonly tag: string;
  readonly status: TransactionStatus;
}

/**
 * A session of the server for statements of somebody else. One message holds one statement: the server refuses more. What it answers
 * is read in bounded memory; rows and notices are thrown away.
 */
export interface LoadSession {
  /** What the server last told of a setting: `client_encoding`, `standard_conforming_strings` … */
  setting(name: string): string | undefined;
  /**
   * Runs one statement. Rows are sent when the server asks for them, and only then.
   * @throws StatementError; Failure SqlRefused (it asks for rows where there are none, or the reverse; it would send rows of COPY),
   * ConnectionLost, Aborted, what `rows` throws. Behind a Failure the session is of no use any more.
   */
  run(text: readonly Uint8Array[], rows?: Bytes): Promise<Answer>;
  /**
   * The same for rows as messages of the protocol (CopyData), which may be cut anywhere. Nobody here holds the pieces of a group any more
   * when the next one is asked for.
   */
  copy(text: readonly Uint8Array[], messages: AsyncIterable<readonly Uint8Array[]>): Promise<Answer>;
  /** A statement of ours: the first column of its first row. */
  ask(text: string): Promise<string | undefined>;
  /** Waits until the server has let go, some seconds at most: what was not committed is undone then. Idempotent, never throws. */
  close(): Promise<void>;
}

const goodbyeMs = 5_000;
const nothing = Buffer.alloc(0);
/** Sends the rows of a statement, unless the server has refused it. */
type SendRows = (isRefused: () => boolean) => Promise<void>;

/** What is known of the answer to what was sent last. */
interface Exchange {
  tag: string;
  row: string | undefined;
  error: StatementError | undefined;
  /** It has done what was asked for; the end of a transaction may still fail. */
  answered: boolean;
  asksForRows: boolean;
  sendsRows: boolean;
  done: boolean;
  readonly wake: () => void;
}

/** Logs in, as libpq would (settings of role and database count), but for what steadies a session that loads. */
export async function openLoadSession(server: Server, database: string, signal: AbortSignal): Promise<LoadSession> {
  if (signal.aborted) throw aborted(signal);
  const settings = new Map<string, string>();
  let status: TransactionStatus = 'none';
  let exchange: Exchange | undefined;
  let broken: Error | undefined;
  let wantsRow = false;
  let wake = (): void => {};

  const decode = (bytes: Uint8Array): string => decodeNames(settings.get('client_encoding') ?? 'UTF8')(bytes);
  const onMessage = (type: number, body: Buffer): void => {
    if (type === fromServer.parameter) {
      const [name = '', value = ''] = body.toString('utf8').split('\0');
      settings.set(name, value);
    }
    const current = exchange;
    if (current === undefined) {
      // Said between two statements: that we are thrown out.
      if (type === fromServer.error) broken ??= readStatementError(body, decode);
      return;
    }
    if (type === fromServer.error) current.error ??= readStatementError(body, decode);
    else if (type === fromServer.empty) current.answered = true;
    else if (type === fromServer.complete) {
      current.answered = true;
      current.tag = body.toString('latin1').replace(/\0.*$/s, '');
    } else if (type === fromServer.row) current.row ??= readRow(body)[0]?.toString('latin1');
    else if (type === fromServer.copyIn) current.asksForRows = true;
    else if (type === fromServer.copyOut || type === fromServer.copyBoth) current.sendsRows = true;
    else if (type === fromServer.ready) {
      status = statuses[body.toString('latin1')] ?? 'failed';
      current.done = true;
    }
    current.wake();
  };
  const isKept = (type: number): boolean => kept.has(type) || (type === fromServer.row && wantsRow);
  const onBreak = (error: Error): void => {
    broken ??= error;
    wake();
  };

  const link = await logIn(server, database, { isKept, onMessage, onBreak }, signal);
  const { stream } = link;
  const onAbort = (): void => void stream.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  stream.on('drain', () => wake());

  const lost = (): Error => {
    if (signal.aborted) return aborted(signal);
    const current = exchange?.error;
    const why = current?.severity === 'FATAL' || current?.severity === 'PANIC' ? current : broken;
    const where = `the connection to ${serverAddress(server)}, database "${database}"`;
    return new Failure('ConnectionLost', `${where} was lost: ${why?.message ?? 'the server closed it'}`, {
      cause: why,
    });
  };
  /** Until `test` says so, or nothing can come any more. */
  const until = async (test: () => boolean): Promise<void> => {
    while (!test()) {
      if (broken !== undefined || stream.destroyed) throw lost();
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const send = async (pieces: readonly Uint8Array[]): Promise<void> => {
    if (broken !== undefined || stream.destroyed) throw lost();
    stream.cork();
    let free = true;
    for (const piece of pieces) free = stream.write(piece);
    stream.uncork();
    if (!free) await until(() => !stream.writableNeedDrain);
  };
  /** The same, and waits until they have left this process. */
  const sendOut = async (pieces: readonly Uint8Array[]): Promise<void> => {
    let isOut = false;
    if (broken !== undefined || stream.destroyed) throw lost();
    stream.cork();
    for (const piece of pieces.slice(0, -1)) stream.write(piece);
    stream.write(pieces.at(-1) ?? nothing, () => {
      isOut = true;
      wake();
    });
    stream.uncork();
    await until(() => isOut);
  };
  const begin = (): Exchange => {
    const current: Exchange = {
      tag: '',
      row: undefined,
      error: undefined,
      answered: false,
      asksForRows: false,
      sendsRows: false,
      done: false,
      wake: () => wake(),
    };
    exchange = current;
    return current;
  };
  const giveUp = (what: string): Failure => {
    stream.destroy();
    return new Failure('SqlRefused', what);
  };
  const end = async (current: Exchange): Promise<Answer> => {
    await until(() => current.done || current.asksForRows || current.sendsRows);
    if (current.sendsRows) throw giveUp('a statement that sends rows to whoever runs the script');
    if (current.asksForRows && !current.done && current.error === undefined) {
      await send([copyFail('the script has no rows here'), sync]);
      throw giveUp('the server asks for rows where the script has none');
    }
    await until(() => current.done);
    if (current.error !== undefined) throw current.error;
    return { tag: current.tag, status };
  };
  const copy = async (current: Exchange, sendRows: SendRows): Promise<Answer> => {
    // Not yet the end: whether the server takes this for the statement's or for the rows' end would depend on how far it is.
    await until(() => current.asksForRows || current.sendsRows || current.answered || current.error !== undefined);
    if (current.sendsRows) throw giveUp('a statement that sends rows to whoever runs the script');
    if (current.error === undefined && !current.asksForRows) {
      throw giveUp('rows follow in the script, and the server does not ask for any');
    }
    if (current.error === undefined) {
      try {
        await sendRows(() => current.error !== undefined);
      } catch (error) {
        // Half of the rows are none.
        stream.destroy();
        throw error;
      }
      if (current.error === undefined) await send([copyDone]);
    }
    await send([sync]);
    current.asksForRows = false;
    await until(() => current.done);
    if (current.error !== undefined) throw current.error;
    return { tag: current.tag, status };
  };
  const run = async (text: readonly Uint8Array[], rows?: SendRows): Promise<Answer> => {
    const current = begin();
    try {
      const bytes = text.reduce((sum, piece) => sum + piece.length, 0);
      await send([...runStatement(text, bytes), rows === undefined ? sync : flush]);
      return rows === undefined ? await end(current) : await copy(current, rows);
    } catch (error) {
      if (signal.aborted) throw aborted(signal);
      throw error;
    } finally {
      exchange = undefined;
    }
  };
  const ask = async (text: string): Promise<string | undefined> => {
    wantsRow = true;
    const current = begin();
    try {
      await send([...runStatement([Buffer.from(text)], Buffer.byteLength(text)), sync]);
      await end(current);
      return current.row;
    } finally {
      wantsRow = false;
      exchange = undefined;
    }
  };
  let closing: Promise<void> | undefined;
  const leave = async (): Promise<void> => {
    signal.removeEventListener('abort', onAbort);
    if (stream.closed) return;
    const closed = new Promise<void>((resolve) => {
      stream.once('close', resolve);
    });
    // Of a server that hangs, or a network that is gone.
    stream.setTimeout(goodbyeMs, () => stream.destroy());
    if (!stream.destroyed) stream.end(terminate);
    await closed;
  };

  const session: LoadSession = {
    setting: (name) => settings.get(name),
    run: (text, rows) =>
      run(
        text,
        rows &&
          (async (isRefused) => {
            for await (const piece of rows) {
              if (isRefused()) return;
              await send([copyHead(piece.length), piece]);
            }
          }),
      ),
    copy: (text, messages) =>
      run(text, async (isRefused) => {
        for await (const group of messages) {
          if (isRefused()) return;
          await sendOut(group);
        }
      }),
    ask,
    close: () => (closing ??= leave()),
  };
  try {
    for (const statement of server.startupOptions === undefined ? loadSettings() : []) await ask(statement);
    return session;
  } catch (error) {
    await session.close();
    if (signal.aborted) throw aborted(signal);
    throw connectFailure(error, server, database);
  }
}

const statuses: Readonly<Record<string, TransactionStatus | undefined>> = { I: 'none', T: 'open', E: 'failed' };

const kept: ReadonlySet<number> = new Set([
  fromServer.parameter,
  fromServer.error,
  fromServer.complete,
  fromServer.ready,
]);
