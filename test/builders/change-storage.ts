import type { Storage } from '../../src/storage/storage.ts';

/** A storage that is another one but for some operations. */
export function changeStorage(storage: Storage, changes: Partial<Storage>): Storage {
  return {
    name: storage.name,
    conditionalPut: storage.conditionalPut,
    put: (...args) => storage.put(...args),
    get: (...args) => storage.get(...args),
    stat: (...args) => storage.stat(...args),
    list: (...args) => storage.list(...args),
    delete: (...args) => storage.delete(...args),
    listUnfinished: (...args) => storage.listUnfinished(...args),
    removeUnfinished: (...args) => storage.removeUnfinished(...args),
    close: () => storage.close(),
    ...changes,
  };
}
