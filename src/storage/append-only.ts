import { Failure } from '../api/failure.ts';
import type { Storage } from './storage.ts';

/**
 * A storage at which nothing is deleted, whatever the key may do: what cannot be tidied up is told as what stays. Uploads that were not
 * completed may still be aborted: no object goes with them.
 */
export function appendOnlyStorage(storage: Storage): Storage {
  return {
    name: storage.name,
    get conditionalPut() {
      return storage.conditionalPut;
    },
    put: (...args) => storage.put(...args),
    get: (...args) => storage.get(...args),
    stat: (...args) => storage.stat(...args),
    list: (...args) => storage.list(...args),
    delete: async (key) => {
      throw new Failure('StorageDenied', `${key} stays: nothing is deleted at an AppendOnly location`, {
        hint: 'a lifecycle rule of the store removes what stays (docs/locations.md)',
      });
    },
    listUnfinished: (...args) => storage.listUnfinished(...args),
    removeUnfinished: (...args) => storage.removeUnfinished(...args),
    close: () => storage.close(),
  };
}
