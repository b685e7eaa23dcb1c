import { fork, type ChildProcess } from 'node:child_process';
import { getCompileCacheDir } from 'node:module';
import { Socket } from 'node:net';
import { extname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Failure } from '../api/failure.ts';
import { abortFailure, throwIfAborted } from './abortable.ts';
import type { Answer, Call, CarriedFailure, Order } from './apart-messages.ts';
import type { DirectoryPlace } from './place.ts';
import type { Bytes, LeftOut, ObjectStat, PutOptions, Storage, StoredObject, Unfinished } from './storage.ts';

const program = fileURLToPath(new URL(`../files${extname(import.meta.url)}`, import.meta.url));
/**
 * Little memory, measured: it does next to nothing in JavaScript, so the compilers would only be pages of the program in memory. Enough
 * threads that a few calls that hang do not keep the others waiting.
 */
const flags = ['--max-semi-space-size=1', '--expose-gc', '--no-opt', '--no-maglev', '--v8-pool-size=0'];
const environment = { MALLOC_MMAP_THRESHOLD_: '32768', MALLOC_TRIM_THRESHOLD_: '131072', UV_THREADPOOL_SIZE: '8' };

const lastWordsCharacters = 4_000;

/** What travels at once: as many dead copies of it lie about in either process as go by between two collections. */
const pieceBytes = 256 * 1024;

type Ending = Extract<Answer, { is: 'done' | 'failed' }>;
/** Hears the answers to one operation. */
type Listener = (answer: Exclude<Answer, Ending> | Ending | { readonly is: 'lost'; readonly failure: Failure }) => void;

/**
 * A folder of a file system whose file calls are done in a process of their own, which begins with the first of them: a mount whose server
 * is gone holds the thread of a call for ever, and a process that has one cannot even exit. Who is not answered (limitStorage) leaves that
 * process to itself; when the file system comes back it goes on by itself.
 */
export function openApart({ path }: DirectoryPlace): Storage {
  const { href: name } = pathToFileURL(path);
  const listeners = new Map<number, Listener>();
  let child: ChildProcess | undefined;
  let lastId = 0;
  let conditionalPut = true;

  const start = (): ChildProcess => {
    const started = fork(program, [path], {
      execArgv: flags,
      // A cache of compiled code that we use, it uses too: it is half of its start.
      env: { ...environment, NODE_COMPILE_CACHE: getCompileCacheDir() },
      serialization: 'advanced',
      // Nothing of ours is handed down: who waits for the end of our outputs would wait for a process that hangs.
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let lastWords = '';
    started.stderr?.on('data', (piece: Buffer) => {
      lastWords = `${lastWords}${piece.toString()}`.slice(-lastWordsCharacters);
    });
    const onLost = (what: string, cause?: unknown): void => {
      if (child === started) child = undefined;
      const failure = new Failure('StorageUnreachable', `the process for file calls in ${path} ${what}`, { cause });
      for (const listener of listeners.values()) listener({ is: 'lost', failure });
    };
    started.on('message', (message) => {
      const answer = message as Answer;
      if ('conditionalPut' in answer) conditionalPut = answer.conditionalPut;
      listeners.get(answer.id)?.(answer);
    });
    started.on('error', (error) => onLost(`could not be used: ${error.message}`, error));
    started.on('exit', (code, signalName) => {
      onLost(`ended (${signalName ?? `exit code ${code}`})`, lastWords === '' ? undefined : new Error(lastWords));
    });
    started.unref();
    if (started.stderr instanceof Socket) started.stderr.unref();
    return started;
  };
  const order = (message: Order): void => {
    // A process that is gone has answered with its end.
    if (child?.connected === true) child.send(message, () => undefined);
  };

  /** Orders one operation, and gives its answers one after the other; an abort is passed on, and answered too. */
  async function* operate(
    call: Call,
    signal: AbortSignal,
  ): AsyncGenerator<Answer & { is: 'pull' | 'sync' | 'items' | 'leftOut' }, unknown> {
    throwIfAborted(signal);
    lastId += 1;
    const id = lastId;
    const heard: Parameters<Listener>[0][] = [];
    let wake = (): void => {};
    let ended = false;
    listeners.set(id, (answer) => {
      heard.push(answer);
      wake();
    });
    const onAbort = (): void => order({ id, is: 'stop' });
    signal.addEventListener('abort', onAbort, { once: true });
    child ??= start();
    // The process of the operator goes on as long as it has something to wait for.
    child.channel?.ref?.();
    order({ id, is: 'call', call });
    try {
      for (;;) {
        const answer = heard.shift();
        if (answer === undefined) {
          await new Promise<void>((resolve) => (wake = resolve));
          continue;
        }
        ended = answer.is === 'done' || answer.is === 'failed' || answer.is === 'lost';
        if (answer.is === 'done') return answer.value;
        if (answer.is === 'lost') throw answer.failure;
        if (answer.is === 'failed') {
          if (signal.aborted) throw abortFailure(signal);
          throw received(answer.failure);
        }
        yield answer;
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      if (!ended) order({ id, is: 'stop' });
      listeners.delete(id);
      if (listeners.size === 0) child?.channel?.unref?.();
    }
  }

  async function ask<T>(call: Call, signal: AbortSignal): Promise<T> {
    const answer = await operate(call, signal).next();
    return answer.value as T;
  }

  async function* items<T>(call: Call, signal: AbortSignal, leftOut?: LeftOut): AsyncGenerator<T, void, undefined> {
    for await (const answer of operate(call, signal)) {
      if (answer.is === 'leftOut') leftOut?.(answer.folder, received(answer.failure));
      if (answer.is !== 'items') continue;
      // The next ones are read while these are used: one batch ahead, no more.
      order({ id: answer.id, is: 'more' });
      yield* answer.items as readonly T[];
    }
  }

  async function put(
    call: Call,
    body: Bytes,
    onSync: PutOptions['onSync'],
    signal: AbortSignal,
  ): Promise<StoredObject> {
    const chunks = inPieces(body);
    const operation = operate(call, signal);
    let broken: { readonly error: unknown } | undefined;
    let ended = false;
    try {
      for (;;) {
        const answer = await operation.next();
        if (answer.done === true) return answer.value as StoredObject;
        const { id } = answer.value;
        if (answer.value.is === 'sync') {
          onSync?.(answer.value.begins);
          continue;
        }
        // Not waited for: an abort is answered while a source hangs.
        chunks.next().then(
          ({ done, value }) => {
            ended = done === true;
            order({ id, is: 'chunk', ...(done === true ? {} : { chunk: value }) });
          },
          (error: unknown) => {
            ended = true;
            broken = { error };
            order({ id, is: 'broken' });
          },
        );
      }
    } catch (error) {
      // oxlint-disable-next-line typescript/only-throw-error -- the body's own error, as it is
      throw broken === undefined ? error : broken.error;
    } finally {
      if (!ended) void Promise.resolve(chunks.return?.()).catch(() => undefined);
    }
  }

  return {
    name,
    get conditionalPut() {
      return conditionalPut;
    },
    put: (key, body, { onSync, ...options }, signal) => put({ do: 'put', key, options }, body, onSync, signal),
    get: (key, range, signal) => items<Uint8Array>({ do: 'get', key, range }, signal),
    stat: (key, signal) => ask<ObjectStat | undefined>({ do: 'stat', key }, signal),
    list: (prefix, after, signal, leftOut) =>
      items<ObjectStat>({ do: 'list', prefix, after, goesOn: leftOut !== undefined }, signal, leftOut),
    delete: (key, signal) => ask<void>({ do: 'delete', key }, signal),
    listUnfinished: (prefix, signal) => items<Unfinished>({ do: 'listUnfinished', prefix }, signal),
    removeUnfinished: (item, signal) => ask<void>({ do: 'removeUnfinished', item }, signal),
    close: async () => {
      const ending = child;
      child = undefined;
      if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
      const gone = new Promise<void>((resolve) => ending.once('exit', () => resolve()));
      ending.kill('SIGKILL');
      // What hangs in the kernel does not even end by that.
      if (listeners.size === 0) await gone;
    },
  };
}

function received({ reason, message, hint }: CarriedFailure): Failure {
  return new Failure(reason, message, hint === undefined ? {} : { hint });
}

async function* inPieces(body: Bytes): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of body) {
    for (let start = 0; start < chunk.length; start += pieceBytes) yield chunk.subarray(start, start + pieceBytes);
  }
}
