import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { admit } from '../../../src/controller/admission/admit.ts';
import { serverOf, type QueueEntry } from '../../../src/controller/admission/entry.ts';
import type { Limits } from '../../../src/controller/admission/places.ts';

const nowMs = 1_000_000;
const limits: Limits = { runs: 3, restores: 2, perServer: 2 };

type Given = Partial<QueueEntry> & { readonly age?: number };

/** A backup of namespace `a` that a schedule made and that waits, each on a server of its own. */
function run(key: string, { age = 1, ...given }: Given = {}): QueueEntry {
  return {
    key,
    kind: 'backup',
    namespace: 'a',
    createdAtMs: nowMs - age,
    byHand: false,
    server: `server of ${key}`,
    targets: [],
    state: 'waiting',
    ...given,
  };
}
const working = { state: 'going' } as const;
const idle = { state: 'going', idleAtMs: nowMs } as const;
const goes = ({ state }: QueueEntry): boolean => state === 'going';

function turns(entries: readonly QueueEntry[], given = limits) {
  return admit(
    entries.filter(goes),
    entries.filter((entry) => !goes(entry)),
    given,
    nowMs,
  );
}
const admitted = (entries: readonly QueueEntry[], given = limits): readonly string[] => [
  ...turns(entries, given).admitted,
];

describe('Turns', () => {
  it('go to the oldest first, and to the first name among equals', () => {
    expect(admitted([run('c'), run('b', { age: 5 }), run('a', { age: 5 }), run('d', { age: 9 })])).toEqual([
      'd',
      'a',
      'b',
    ]);
  });

  it('go to runs by hand before those of schedules, in one namespace', () => {
    expect(admitted([run('old', { age: 9 }), run('hand', { byHand: true })], { ...limits, runs: 1 })).toEqual(['hand']);
  });

  it('go to the namespace with the fewest runs first, whatever it has waiting and by whom', () => {
    const many = Array.from({ length: 20 }, (_, index) => run(`a${index}`, { age: 99, byHand: true }));
    expect(admitted([run('a', working), ...many, run('z', { namespace: 'z' })], { ...limits, runs: 2 })).toEqual(['z']);
    expect(admitted([...many, run('z', { namespace: 'z' })])).toEqual(['a0', 'z', 'a1']);
  });

  it('go by runs that cannot work among namespaces that have as many that do', () => {
    const entries = [run('dead', idle), run('a', { age: 9 }), run('z', { namespace: 'z' })];
    expect(admitted(entries, { ...limits, runs: 1 })).toEqual(['z']);
  });

  it('let others pass while a server is busy', () => {
    const two = ['x', 'y'].map((key) => run(key, { ...working, server: 's' }));
    const entries = [...two, run('c', { age: 7, server: 's' }), run('d')];
    expect(admitted(entries)).toEqual(['d']);
    expect(turns(entries).places.findFull(run('c', { server: 's' }))).toEqual({
      count: 3,
      what: 'backups go on or come first',
    });
    expect(turns(entries, { ...limits, runs: 9 }).places.findFull(run('c', { server: 's' }))).toEqual({
      count: 2,
      what: 'runs of the same server go on or come first',
    });
  });

  it('of restores never wait for backups, and those of backups make room for restores', () => {
    const dumps = ['x', 'y', 'z'].map((key) => run(key, { ...working, server: 's' }));
    const restores = ['r1', 'r2', 'r3'].map((key) => run(key, { kind: 'restore', server: 's' }));
    expect(admitted([...dumps, ...restores])).toEqual(['r1', 'r2']);
    const restoring = restores.slice(0, 2).map((entry) => ({ ...entry, ...working }));
    expect(admitted([...restoring, run('c', { server: 's' }), run('d')])).toEqual(['d']);
    expect(admitted([run('c', { age: 9, server: 's' }), ...restores.slice(0, 2)])).toEqual(['r1', 'r2']);
  });

  it('pass to others when runs do no work', () => {
    const dead = ['x', 'y'].map((key) => run(key, { ...idle, server: 's' }));
    const next = ['c', 'd', 'e'].map((key) => run(key, { server: 's' }));
    expect(admitted([...dead, ...next])).toEqual(['c', 'd']);
    const soon = { ...run('x', { ...working, server: 's' }), idleAtMs: nowMs + 5 };
    expect(turns([soon, ...next]).admitted).toEqual(new Set(['c']));
    expect(turns([soon, ...next]).changesAt).toBe(nowMs + 5);
  });

  it('stop a namespace, and nobody else, at twice as many as there are places for', () => {
    const dead = Array.from({ length: 6 }, (_, index) => run(`k${index}`, idle));
    expect(admitted([...dead, run('mine', { age: 9 }), run('other', { namespace: 'z' })])).toEqual(['other']);
    expect(turns(dead).places.findFull(run('mine'))).toEqual({
      count: 6,
      what: 'backups of this namespace go on or cannot',
    });
    expect(admitted([...dead.slice(1), run('mine'), run('more')])).toEqual(['mine']);
    const there = ['a', 'b', 'c', 'd'].map((key) => run(key, { ...idle, server: 's' }));
    expect(admitted([...there, run('mine', { server: 's' }), run('other', { namespace: 'z', server: 's' })])).toEqual([
      'other',
    ]);
  });

  it('pass to others when a Job is refused, which is tried again while there is room', () => {
    const entries = [run('a', { state: 'refused' }), run('b', { state: 'refused' }), run('c'), run('d'), run('e')];
    expect(admitted(entries)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(admitted([...entries, run('f', working)])).toEqual(['a', 'b', 'c', 'd']);
  });

  it('let one at a time write to a database: whoever does, else the oldest', () => {
    const restore = (key: string, targets: readonly string[], given: Given = {}) =>
      run(key, { kind: 'restore', targets, ...given });
    const entries = [restore('b', ['x', 'y'], { age: 5 }), restore('c', ['x']), restore('d', ['y'])];
    expect(turns(entries).admitted).toEqual(new Set(['b']));
    expect(turns(entries).busy).toEqual(
      new Map([
        ['c', 'b'],
        ['d', 'b'],
      ]),
    );
    const going = [restore('a', ['x'], working), ...entries];
    expect(turns(going).busy.get('b')).toBe('a');
    expect(turns(going).admitted).toEqual(new Set());
  });
});

const entries = fc
  .array(
    fc.record({
      kind: fc.constantFrom('backup', 'restore'),
      namespace: fc.constantFrom('a', 'b', 'c'),
      createdAtMs: fc.integer({ min: 0, max: 5 }),
      byHand: fc.boolean(),
      server: fc.constantFrom('s1', 's2', 's3'),
      targets: fc.subarray(['x', 'y']),
      state: fc.constantFrom('going', 'waiting', 'waiting', 'refused'),
      idleAtMs: fc.option(fc.constantFrom(nowMs, nowMs + 1), { nil: undefined }),
    }),
    { maxLength: 40 },
  )
  .map((list) =>
    list.map((each, index): QueueEntry => ({
      ...each,
      key: `k${index}`,
      targets: each.kind === 'restore' ? each.targets : [],
    })),
  );
const someLimits = fc.record({
  runs: fc.integer({ min: 1, max: 5 }),
  restores: fc.integer({ min: 1, max: 3 }),
  perServer: fc.integer({ min: 1, max: 3 }),
});

describe('Whoever waits and goes on', () => {
  it('gets the same answer in whatever order', () => {
    fc.assert(
      fc.property(entries, someLimits, (list, given) => {
        expect(new Set(admitted(list.toReversed(), given))).toEqual(new Set(admitted(list, given)));
      }),
    );
  });

  it('never gets more places than there are, and leaves none empty that somebody could have', () => {
    fc.assert(
      fc.property(entries, someLimits, (list, given) => {
        const result = turns(list, given);
        const starts = list.filter(({ key, state }) => state === 'waiting' && result.admitted.has(key));
        const works = (each: QueueEntry): boolean => goes(each) && (each.idleAtMs ?? Infinity) > nowMs;
        for (const kind of ['backup', 'restore'] as const) {
          const limit = kind === 'backup' ? given.runs : given.restores;
          const before = list.filter((each) => each.kind === kind && works(each)).length;
          const more = starts.filter((each) => each.kind === kind).length;
          expect(more === 0 || before + more <= limit).toBe(true);
          for (const server of ['s1', 's2', 's3']) {
            const there = list.filter((each) => each.kind === kind && each.server === server && works(each)).length;
            const added = starts.filter((each) => each.kind === kind && each.server === server).length;
            expect(added === 0 || there + added <= given.perServer).toBe(true);
          }
        }
        for (const entry of list.filter((each) => !goes(each) && !result.admitted.has(each.key))) {
          expect(result.busy.has(entry.key) || result.places.findFull(entry) !== undefined).toBe(true);
        }
      }),
    );
  });

  it('lets no namespace take a second place before others that could have had it have their first', () => {
    fc.assert(
      fc.property(entries, someLimits, (list, given) => {
        const onOwn = list.map((entry) => ({ ...entry, kind: 'backup', server: entry.key, targets: [] }) as const);
        const result = turns(onOwn, given);
        const count = (namespace: string): number =>
          result.places.takenBy({ kind: 'backup', namespace, server: '' }).working;
        for (const starved of onOwn.filter(({ key, state }) => state === 'waiting' && !result.admitted.has(key))) {
          const own = result.places.findFull(starved)?.what ?? '';
          if (own.includes('of this namespace')) continue;
          for (const taker of onOwn.filter(({ key, state }) => state === 'waiting' && result.admitted.has(key))) {
            expect(count(taker.namespace)).toBeLessThanOrEqual(count(starved.namespace) + 1);
          }
        }
      }),
    );
  });

  it('finds no restore that waits for a backup', () => {
    fc.assert(
      fc.property(entries, someLimits, (list, given) => {
        const ofRestores = (keys: Iterable<string>) =>
          [...keys].filter((key) => list.find((each) => each.key === key)?.kind === 'restore');
        const alone = list.filter(({ kind }) => kind === 'restore');
        expect(ofRestores(admitted(list, given))).toEqual(ofRestores(admitted(alone, given)));
      }),
    );
  });
});

it('A server is known by host and port, else by its Secret; short names belong to a namespace', () => {
  const credentials = { secretName: 'db' };
  expect(serverOf('shop', { host: 'DB.example.com', port: 5432, credentials })).toBe('db.example.com:5432');
  expect(serverOf('shop', { host: 'db', port: 5432, credentials })).toBe('shop/db:5432');
  expect(serverOf('shop', { port: 5432, credentials })).toBe('secret shop/db');
});
