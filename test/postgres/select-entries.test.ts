import { describe, expect, test } from 'vitest';
import type { ArchiveContents, ArchiveEntry, ArchiveSelection } from '../../src/postgres/load-types.ts';
import { selectEntries } from '../../src/postgres/select-entries.ts';

let nextId = 0;
const entry = (
  type: string,
  schema: string | undefined,
  name: string,
  needs: readonly ArchiveEntry[] = [],
  dropStatement?: string,
): ArchiveEntry => ({
  dumpId: ++nextId,
  type,
  pass: 'before',
  schema,
  name,
  owner: 'o',
  dependencies: needs.map(({ dumpId }) => dumpId),
  dropStatement,
});
const contents = (entries: readonly ArchiveEntry[]): ArchiveContents => ({
  archiveVersion: '1.16',
  serverVersion: '18.1',
  internalOptions: false,
  createsPublic: false,
  serverMajor: 18,
  entries,
  largeObjects: { before: [], rows: [], after: [] },
  headBytes: 0,
});
const selection = (changes: Partial<ArchiveSelection>): ArchiveSelection => ({
  schemaOnly: false,
  dataOnly: false,
  ...changes,
});
const names = (entries: readonly ArchiveEntry[] | undefined) => entries?.map(({ type, name }) => `${type} ${name}`);

const a = entry('TABLE', 's', 'a');
const ab = entry('TABLE', 's', 'a b');
const otherA = entry('TABLE', 'z', 'a');
/** `a b c` may be `b c` of `a`, or `c` of `a b`: both are dependencies of both. */
const ofA = entry('FK CONSTRAINT', 's', 'a b c', [a, ab], 'ALTER TABLE ONLY s.a DROP CONSTRAINT "b c";');
const ofAb = entry('FK CONSTRAINT', 's', 'a b c', [a, ab], 'ALTER TABLE ONLY s."a b" DROP CONSTRAINT c;');
const check = entry('CONSTRAINT', 's', 'a b a_pkey', [ab], 'ALTER TABLE ONLY s."a b" DROP CONSTRAINT a_pkey;');
const rows = [entry('TABLE DATA', 's', 'a', [a]), entry('TABLE DATA', 's', 'a b', [ab]), entry('TABLE DATA', 'z', 'a')];
const blob = entry('BLOB', undefined, '16400');
const archive = contents([a, ab, otherA, ...rows, ofA, ofAb, check]);

describe('leaving out by kind', () => {
  const extension = entry('EXTENSION', undefined, 'e');
  const user = entry('TABLE', 's', 'uses', [extension]);
  const policy = entry('POLICY', 's', 'uses p', [user, extension]);
  const publication = entry('PUBLICATION', undefined, 'pub');
  const all = contents([
    extension,
    entry('COMMENT', undefined, 'EXTENSION e', [extension]),
    user,
    entry('COMMENT', 's', 'TABLE uses', [user]),
    policy,
    entry('ROW SECURITY', 's', 'uses', [user]),
    entry('TABLE DATA', 's', 'own', [extension]),
    entry('POLICY', 's', 'own q', [extension]),
    entry('TABLE DATA', 's', 'uses', [user, extension]),
    publication,
    entry('PUBLICATION TABLE', 's', 'pub uses', [publication, user]),
    entry('COMMENT', undefined, 'PUBLICATION pub', [publication]),
  ]);

  test('takes what is said about it, and what an extension’s own tables hold; what uses it stays', () => {
    const { entries, largeObjects, notes } = selectEntries(all, selection({}), {
      without: ['extensions', 'publications', 'tablespaces'],
    });
    expect(names(entries)).toEqual([
      'TABLE uses',
      'COMMENT TABLE uses',
      'POLICY uses p',
      'ROW SECURITY uses',
      'TABLE DATA uses',
    ]);
    expect([largeObjects, notes]).toEqual([
      true,
      ['left out, as options.without says: extensions (1), publications (2)'],
    ]);
    expect(names(selectEntries(all, selection({}), { without: ['comments', 'policies'] }).entries)).toEqual([
      'EXTENSION e',
      'TABLE uses',
      'TABLE DATA own',
      'TABLE DATA uses',
      'PUBLICATION pub',
      'PUBLICATION TABLE pub uses',
    ]);
    expect(selectEntries(all, selection({}), { without: ['tablespaces', 'eventTriggers'] }).entries).toBe(undefined);
  });

  test('leaves it out of a selection, too', () => {
    const { entries } = selectEntries(all, selection({ schemas: ['s'] }), { without: ['policies', 'comments'] });
    expect(names(entries)).toEqual(['TABLE uses', 'TABLE DATA own', 'TABLE DATA uses']);
  });
});

describe('selectEntries', () => {
  test('without a selection everything is restored', () => {
    expect(selectEntries(archive, selection({}))).toEqual({
      entries: undefined,
      largeObjects: true,
      notes: [],
    });
    expect(selectEntries(archive, selection({ tables: [], schemas: [] })).entries).toBeUndefined();
  });

  test('tells things of tables apart whose names begin alike', () => {
    const both = selectEntries(archive, selection({ tables: ['s.a', 's.a b'] }));
    expect(names(both.entries)).toEqual([
      'TABLE a',
      'TABLE a b',
      'TABLE DATA a',
      'TABLE DATA a b',
      'FK CONSTRAINT a b c',
      'FK CONSTRAINT a b c',
      'CONSTRAINT a b a_pkey',
    ]);
    const one = selectEntries(archive, selection({ tables: ['s.a'] }));
    expect(names(one.entries)).toEqual(['TABLE a', 'TABLE DATA a']);
    expect(one.notes).toEqual(['left out: foreign key b c of s.a, because s.a b is not selected']);
    const two = selectEntries(archive, selection({ tables: ['a b'] }));
    expect(names(two.entries)).toEqual(['TABLE a b', 'TABLE DATA a b', 'CONSTRAINT a b a_pkey']);
    expect(two.notes).toEqual(['left out: foreign key c of s.a b, because s.a is not selected']);
  });

  test('keeps the order of the archive, whatever the order of the selection', () => {
    const { entries } = selectEntries(archive, selection({ tables: ['z.a', 's.a'] }));
    expect(entries).toEqual([a, otherA, rows[0], rows[2]]);
  });

  test('names what there is when something is missing, the likely ones first', () => {
    const fail = (changes: Partial<ArchiveSelection>) => () => selectEntries(archive, selection(changes));
    expect(fail({ tables: ['a'] })).toThrow('a could be several tables of the archive; there are: s.a, z.a');
    expect(fail({ tables: ['S.A B'] })).toThrow('the archive has no table S.A B; there are: s.a b, s.a, z.a');
    expect(fail({ schemas: ['public'] })).toThrow('the archive has no schema public; there are: s, z');
    expect(() => selectEntries(contents([blob]), selection({ tables: ['x'] }))).toThrow('there are: no tables');
  });

  test('names at most 20 tables', () => {
    const many = contents(Array.from({ length: 30 }, (_, at) => entry('TABLE', 's', `t${at}`)));
    expect(() => selectEntries(many, selection({ tables: ['x'] }))).toThrow(/s\.t19, and 10 more$/);
  });

  test('says that large objects stay out, and does not say too much', () => {
    const targets = Array.from({ length: 30 }, (_, at) => entry('TABLE', 's', `t${at}`));
    const keys = targets.map((target, at) => entry('FK CONSTRAINT', 's', `a f${at}`, [a, target]));
    const { notes } = selectEntries(contents([a, ...targets, ...keys, blob]), selection({ tables: ['s.a'] }));
    expect(notes).toHaveLength(13);
    expect(notes.at(-1)).toBe('and 19 more of the kind');
    expect(selectEntries(contents([a, blob]), selection({ schemas: ['s'] })).notes).toEqual([
      'left out: large objects',
    ]);
  });
});

test('what is looked at grows with the archive and not with its square, however it is selected', () => {
  let looked = 0;
  const counting = (made: ArchiveEntry): ArchiveEntry =>
    Object.defineProperty({ ...made }, 'type', {
      get() {
        looked += 1;
        return made.type;
      },
    });
  const schema = entry('SCHEMA', undefined, 'many');
  const parent = entry('TABLE', 'many', 'parent', [schema]);
  const key = entry('CONSTRAINT', 'many', 'parent parent_pkey', [parent]);
  const all = [schema, parent, key];
  const partitions: ArchiveEntry[] = [];
  for (let number = 0; number < 2000; number += 1) {
    const partition = entry('TABLE', 'many', `p ${number}`);
    const index = entry('CONSTRAINT', 'many', `p ${number} key`, [partition]);
    partitions.push(partition);
    all.push(
      partition,
      entry('TABLE ATTACH', 'many', partition.name, [partition, parent]),
      entry('TABLE DATA', 'many', partition.name, [partition]),
      index,
      entry('INDEX ATTACH', 'many', `p ${number} key`, [index, key]),
      entry('COMMENT', 'many', `CONSTRAINT ${number}`, [index]),
    );
  }
  const archive = contents(all.map(counting));
  for (const chosen of [
    { schemas: ['many'] },
    { tables: ['many.parent'] },
    { tables: ['parent', ...partitions.map(({ name }) => `many.${name}`)] },
  ]) {
    looked = 0;
    const { entries, notes } = selectEntries(archive, selection(chosen), { freshDatabase: true });
    expect([entries?.length, notes]).toEqual([all.length, []]);
    expect(looked).toBeLessThan(40 * all.length);
  }
});
