import type { KubeClient } from './client.ts';

/** A write that was not sent: somebody else may lead by now. */
export class NotLeading extends Error {
  constructor() {
    super('not the leader any more: nothing is written');
    this.name = 'NotLeading';
  }
}

/**
 * A client that asks right before each write whether it may still be sent, and rejects with NotLeading when not; reads pass.
 * One place for all writers: a process that was frozen in the middle of a list of writes does not finish the list when it wakes.
 */
export function guardWrites(client: KubeClient, mayWrite: () => boolean): KubeClient {
  const check = (): void => {
    if (!mayWrite()) throw new NotLeading();
  };
  return {
    get: (...all) => client.get(...all),
    list: (...all) => client.list(...all),
    watch: (...all) => client.watch(...all),
    readLog: (...all) => client.readLog(...all),
    create: async (...all) => {
      check();
      return client.create(...all);
    },
    put: async (...all) => {
      check();
      return client.put(...all);
    },
    putStatus: async (...all) => {
      check();
      return client.putStatus(...all);
    },
    delete: async (...all) => {
      check();
      return client.delete(...all);
    },
  };
}
