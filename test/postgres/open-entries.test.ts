import { expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import type { ArchiveEntry, LoadPass } from '../../src/postgres/load-types.ts';
import { openEntries } from '../../src/postgres/open-entries.ts';
import { readContents } from '../../src/postgres/read-contents.ts';
import { printToc, printTocEntry, printTocHead, type MadeEntry } from '../builders/archive-toc.ts';
import { inPieces, rejection } from '../pipeline/streams.ts';

const never = new AbortController().signal;
const tooMany = (what: string) => new Failure('FileRefused', what);
const entry = (dumpId: number, type: string, name: string, owner: string, pass: LoadPass = 'before'): ArchiveEntry => ({
  dumpId,
  type,
  pass,
  schema: undefined,
  name,
  owner,
  dependencies: [],
  dropStatement: undefined,
});

test('millions of large objects are no more than their ids, and one entry of each owner', () => {
  const kept = openEntries(tooMany, { entries: 3, textBytes: 1000 });
  for (let id = 1; id <= 3000; id += 3) {
    kept.add(entry(id, 'BLOB', String(id), `owner ${id % 2}`));
    kept.add(entry(id + 1, 'COMMENT', `LARGE OBJECT ${id}`, 'owner'));
    kept.add(entry(id + 2, 'ACL', `LARGE OBJECT ${id}`, 'owner', 'after'));
  }
  kept.add(entry(4000, 'TABLE', 'LARGE OBJECT 1', 'owner'));
  const { entries, largeObjects } = kept.all();
  expect(entries.map(({ dumpId }) => dumpId)).toEqual([1, 4, 4000]);
  expect(largeObjects.before).toHaveLength(1998);
  expect(largeObjects.after).toHaveLength(1000);
});

test('what is more than memory should hold is refused', () => {
  const few = openEntries(tooMany, { entries: 2, textBytes: 1000 });
  few.add(entry(1, 'TABLE', 'a', 'o'));
  few.add(entry(2, 'TABLE', 'b', 'o'));
  expect(() => few.add(entry(3, 'TABLE', 'c', 'o'))).toThrow('more than 2 entries besides large objects');
  const short = openEntries(tooMany, { entries: 1000, textBytes: 100 });
  short.add(entry(1, 'TABLE', 'a'.repeat(60), 'o'));
  expect(() => short.add(entry(2, 'TABLE', 'b'.repeat(60), 'o'))).toThrow('more than 100 bytes of names');
  const manyDependencies = { ...entry(2, 'TABLE', 'b', 'o'), dependencies: Array.from({ length: 6 }, () => 1) };
  expect(() => short.add(manyDependencies)).toThrow('more than 100 bytes of names');
});

test('a table of contents that never ends is refused at its limit, whatever its number of entries says', async () => {
  let given = 0;
  const made: MadeEntry = { dumpId: 1, type: 'TABLE', name: 'x'.repeat(60_000), section: 2 };
  const piece = printTocEntry('custom', made);
  async function* open() {
    yield printTocHead('custom', 49_000_000);
    for (;;) {
      given += piece.length;
      yield piece;
    }
  }
  const failure = await rejection(readContents({}, { kind: 'stream', format: 'custom', open }, never));
  expect(failure).toMatchObject({ reason: 'FileRefused' });
  expect(given).toBeLessThan(600 * 1024 * 1024);
});

test('entries are read the same in pieces of any size', async () => {
  const made = Array.from({ length: 300 }, (_, index): MadeEntry => ({
    dumpId: index + 1,
    type: index % 3 === 0 ? 'TABLE' : 'COMMENT',
    name: `näme ${index}`,
    schema: index % 2 === 0 ? 'public' : 'ö',
    owner: 'somebody',
    section: index % 3 === 0 ? 2 : 1,
    definition: 'x'.repeat(index),
    dependencies: index === 0 ? [] : [index],
  }));
  const toc = printToc('custom', made);
  for (const size of [1, 7, 1000, toc.length]) {
    const { entries } = await readContents(
      {},
      { kind: 'stream', format: 'custom', open: () => inPieces(toc, size) },
      never,
    );
    expect(entries).toEqual(
      made.map(({ dumpId, type, name, schema, owner, dependencies }) => ({
        dumpId,
        type,
        pass: 'before',
        schema,
        name,
        owner,
        dependencies,
        dropStatement: undefined,
      })),
    );
  }
});
