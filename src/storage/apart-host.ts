import { Failure, toFailure } from '../api/failure.ts';
import { abortFailure } from './abortable.ts';
import type { Answer, Call, CarriedFailure, Order } from './apart-messages.ts';
import type { Bytes, LeftOut, Storage } from './storage.ts';

/** Entries of a listing that travel together. */
const entriesAtOnce = 256;

interface Operation {
  readonly stop: AbortController;
  /** Whoever waits for an order. */
  hear: ((order: Order) => void) | undefined;
  refuse: ((failure: Failure) => void) | undefined;
}

/** Does the operations that are ordered with a storage, and answers. @returns takes an order */
export function hostStorage(storage: Storage, answer: (answer: Answer) => void): (order: Order) => void {
  const operations = new Map<number, Operation>();

  async function run(id: number, call: Call): Promise<void> {
    const operation: Operation = { stop: new AbortController(), hear: undefined, refuse: undefined };
    operations.set(id, operation);
    const { signal } = operation.stop;
    const next = (): Promise<Order> =>
      new Promise((resolve, reject) => {
        operation.hear = resolve;
        operation.refuse = reject;
        if (signal.aborted) reject(abortFailure(signal));
      });
    const give = async (items: AsyncIterable<unknown>, atOnce: number): Promise<void> => {
      let waiting: unknown[] = [];
      const send = async (): Promise<void> => {
        const taken = next();
        answer({ id, is: 'items', items: waiting });
        waiting = [];
        await taken;
      };
      for await (const item of items) {
        waiting.push(item);
        if (waiting.length >= atOnce) await send();
      }
      if (waiting.length > 0) await send();
    };
    async function* body(): Bytes & AsyncGenerator<Uint8Array, void, undefined> {
      for (;;) {
        const given = next();
        answer({ id, is: 'pull' });
        const order = await given;
        // Whatever is no chunk is no end either.
        if (order.is !== 'chunk') throw new Failure('Aborted', 'the source failed');
        if (order.chunk === undefined) return;
        yield order.chunk;
      }
    }
    const leftOut: LeftOut = (folder, failure) => answer({ id, is: 'leftOut', folder, failure: carry(failure) });
    const onSync = (begins: boolean): void => answer({ id, is: 'sync', begins });
    const work = async (): Promise<unknown> => {
      switch (call.do) {
        case 'put':
          return await storage.put(call.key, body(), { ...call.options, onSync }, signal);
        case 'get':
          return await give(storage.get(call.key, call.range, signal), 1);
        case 'stat':
          return await storage.stat(call.key, signal);
        case 'list':
          return await give(
            storage.list(call.prefix, call.after, signal, call.goesOn ? leftOut : undefined),
            entriesAtOnce,
          );
        case 'delete':
          return await storage.delete(call.key, signal);
        case 'listUnfinished':
          return await give(storage.listUnfinished(call.prefix, signal), entriesAtOnce);
        default:
          return await storage.removeUnfinished(call.item, signal);
      }
    };
    try {
      const value = await work();
      answer({ id, is: 'done', value, conditionalPut: storage.conditionalPut });
    } catch (error) {
      answer({ id, is: 'failed', failure: carry(error), conditionalPut: storage.conditionalPut });
    } finally {
      operations.delete(id);
    }
  }

  return (order) => {
    if (order.is === 'call') {
      void run(order.id, order.call);
      return;
    }
    // One that has ended meanwhile needs nothing more.
    const operation = operations.get(order.id);
    if (order.is !== 'stop') {
      operation?.hear?.(order);
      return;
    }
    operation?.stop.abort();
    operation?.refuse?.(new Failure('Aborted', 'stopped before it was done'));
  };
}

function carry(error: unknown): CarriedFailure {
  const { reason, message, hint } = toFailure(error);
  return { reason, message, ...(hint === undefined ? {} : { hint }) };
}
