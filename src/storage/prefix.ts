import type { LeftOut, Storage } from './storage.ts';

/** The part of a storage below a prefix (a key without slashes at its ends), under keys of its own. */
export function prefixStorage(storage: Storage, prefix: string): Storage {
  const inner = (key: string): string => `${prefix}/${key}`;
  return {
    name: `${storage.name}/${prefix}`,
    get conditionalPut() {
      return storage.conditionalPut;
    },
    put: (key, body, options, signal) => storage.put(inner(key), body, options, signal),
    get: (key, range, signal) => storage.get(inner(key), range, signal),
    stat: async (key, signal) => {
      const found = await storage.stat(inner(key), signal);
      return found === undefined ? undefined : { ...found, key };
    },
    list: async function* (start, after, signal, leftOut) {
      const from = after === undefined ? undefined : inner(after);
      const told: LeftOut | undefined =
        leftOut === undefined ? undefined : (folder, failure) => leftOut(folder.slice(prefix.length + 1), failure);
      for await (const found of storage.list(inner(start), from, signal, told)) {
        yield { ...found, key: found.key.slice(prefix.length + 1) };
      }
    },
    delete: (key, signal) => storage.delete(inner(key), signal),
    listUnfinished: async function* (start, signal) {
      for await (const found of storage.listUnfinished(inner(start), signal)) {
        yield { ...found, key: found.key.slice(prefix.length + 1) };
      }
    },
    removeUnfinished: (item, signal) => storage.removeUnfinished({ ...item, key: inner(item.key) }, signal),
    close: () => storage.close(),
  };
}
