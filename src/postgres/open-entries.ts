import type { Failure } from '../api/failure.ts';
import type { ArchiveContents, ArchiveEntry } from './load-types.ts';

const limits = {
  /** Besides large objects. 16 000 partitions with keys and grants are 200 000; pg_dump locks every table of a database at once. */
  entries: 2_000_000,
  /** Of all names and statements that are kept. */
  textBytes: 512 * 1024 * 1024,
};

/** Before 17 each large object is an entry of its own, and some have more: databases have had many millions of them. */
function isOfLargeObject({ type, schema, name }: ArchiveEntry): boolean {
  return /^(?:ACL|COMMENT|SECURITY LABEL)$/.test(type) && schema === undefined && name.startsWith('LARGE OBJECT ');
}

/** What is kept of a table of contents, within limits of memory. */
export interface OpenEntries {
  /** @throws what `tooMany` makes */
  add(entry: ArchiveEntry): void;
  all(): Pick<ArchiveContents, 'entries' | 'largeObjects'>;
}

export function openEntries(tooMany: (what: string) => Failure, most: typeof limits = limits): OpenEntries {
  const entries: ArchiveEntry[] = [];
  const largeObjects = { before: [] as number[], rows: [] as number[], after: [] as number[] };
  const owners = new Set<string | undefined>();
  let textBytes = 0;
  return {
    add(entry) {
      const { type, name, owner, dependencies, dropStatement } = entry;
      // One of each owner stands for the others: whose they are must be known.
      if (isOfLargeObject(entry) || (type === 'BLOB' && owners.has(owner))) {
        largeObjects[entry.pass].push(entry.dumpId);
        return;
      }
      if (type === 'BLOB') owners.add(owner);
      textBytes += name.length + (dropStatement?.length ?? 0) + 8 * dependencies.length;
      if (textBytes > most.textBytes) {
        throw tooMany(`the archive’s table of contents has more than ${most.textBytes} bytes of names`);
      }
      if (entries.length === most.entries) {
        throw tooMany(`the archive’s table of contents has more than ${most.entries} entries besides large objects`);
      }
      entries.push(entry);
    },
    all: () => ({ entries, largeObjects }),
  };
}
