import { describe, expect, it } from 'vitest';
import { Admission } from '../../../src/controller/admission/admission.ts';
import type { QueueEntry } from '../../../src/controller/admission/entry.ts';

function open(limits = { runs: 2, restores: 1, perServer: 2 }) {
  const runs = new Map<string, QueueEntry>();
  const seen = { nowMs: 1000, reads: 0, woken: [] as string[] };
  const admission = new Admission({
    limits,
    nowMs: () => seen.nowMs,
    read: (key) => {
      seen.reads += 1;
      return runs.get(key);
    },
    onTurn: (key) => seen.woken.push(key),
  });
  const put = (key: string, state: QueueEntry['state'], given: Partial<QueueEntry> = {}): void => {
    const [, namespace = ''] = key.split('/');
    const createdAtMs = runs.get(key)?.createdAtMs ?? runs.size;
    runs.set(key, {
      key,
      kind: 'backup',
      namespace,
      createdAtMs,
      byHand: false,
      server: key,
      targets: [],
      state,
      ...given,
    });
    admission.touch(key);
  };
  const remove = (key: string): void => {
    runs.delete(key);
    admission.touch(key);
  };
  /** As a look that makes a Job. */
  const start = (key: string): boolean => {
    const { admitted } = admission.turnOf(key);
    if (admitted) put(key, 'going');
    admission.release(key);
    return admitted;
  };
  return { admission, seen, put, remove, start };
}
const names = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `backup/a/k${String(index).padStart(4, '0')}`);

describe('An admission', () => {
  it('reads what changed when one of 2000 runs ends, and wakes the one whose turn it is', () => {
    const { admission, seen, put, remove, start } = open();
    for (const key of names(2000)) put(key, 'waiting');
    for (const key of names(2000)) start(key);
    admission.settle();
    expect([seen.woken.splice(0), admission.isDue()]).toEqual([['backup/a/k0001'], false]);
    seen.reads = 0;
    remove('backup/a/k0000');
    expect(admission.isDue()).toBe(true);
    admission.settle();
    expect(seen).toMatchObject({ reads: 1, woken: ['backup/a/k0002'] });
    expect(start('backup/a/k0002')).toBe(true);
    expect(start('backup/a/k0003')).toBe(false);
    expect(seen.woken).toHaveLength(1);
  });

  it('never gives one place to two, however closely they ask', () => {
    const { admission, put } = open({ runs: 1, restores: 1, perServer: 1 });
    put('backup/a/one', 'waiting');
    put('backup/a/two', 'waiting');
    expect(admission.turnOf('backup/a/one')).toEqual({ admitted: true });
    // Nothing of its Job can be seen yet, and the other one looks at everything anew.
    admission.touch('backup/a/one');
    expect(admission.turnOf('backup/a/two')).toEqual({
      admitted: false,
      waitsFor: '1 backups go on or come first',
    });
  });

  it('gives a place back that came to nothing, and does not wake who tries again by itself', () => {
    const { admission, seen, put } = open({ runs: 1, restores: 1, perServer: 1 });
    put('backup/a/one', 'waiting');
    put('backup/a/two', 'waiting');
    for (let turn = 0; turn < 5; turn += 1) {
      expect(admission.turnOf('backup/a/one').admitted).toBe(true);
      admission.release('backup/a/one');
      admission.settle();
    }
    expect(seen.woken).toEqual([]);
    put('backup/a/one', 'refused');
    admission.settle();
    expect(seen.woken).toEqual(['backup/a/two']);
  });

  it('wakes again who had its turn, lost it to somebody before it, and has it once more', () => {
    const { admission, seen, put, remove } = open({ runs: 1, restores: 1, perServer: 1 });
    put('backup/a/gone', 'going');
    put('backup/a/two', 'waiting');
    admission.settle();
    remove('backup/a/gone');
    admission.settle();
    expect(seen.woken).toEqual(['backup/a/two']);
    put('backup/a/hand', 'waiting', { byHand: true });
    put('restoreRequest/a/other', 'going', { kind: 'restore' });
    admission.settle();
    expect(admission.turnOf('backup/a/hand').admitted).toBe(true);
    expect(admission.turnOf('backup/a/two').admitted).toBe(false);
    remove('backup/a/hand');
    admission.release('backup/a/hand');
    admission.settle();
    expect(seen.woken).toEqual(['backup/a/two', 'backup/a/hand', 'backup/a/two']);
  });

  it('lets no more of those in that were refused than there are places, should all be let in at once', () => {
    const { put, start } = open();
    const all = names(20);
    for (const key of all) put(key, 'refused');
    expect(all.filter((key) => start(key))).toHaveLength(2);
  });

  it('gives the place of a run that does nothing away when its time has come', () => {
    const { admission, seen, put } = open({ runs: 1, restores: 1, perServer: 1 });
    put('backup/a/dead', 'going', { idleAtMs: 5000 });
    put('backup/a/next', 'waiting');
    expect(admission.turnOf('backup/a/next').admitted).toBe(false);
    expect(admission.settle()).toMatchObject({ wakeAt: 5000 });
    seen.nowMs = 5000;
    admission.settle();
    expect(seen.woken).toEqual(['backup/a/next']);
  });

  it('answers a thousand at once that all have room without ordering them', () => {
    const { put, start, seen } = open({ runs: 3000, restores: 1, perServer: 3000 });
    for (const key of names(3000)) put(key, 'waiting');
    expect(names(3000).filter((key) => start(key))).toHaveLength(3000);
    expect(seen.reads).toBeLessThan(10_000);
  });

  it('says who restores to the same database', () => {
    const { admission, put } = open({ runs: 1, restores: 3, perServer: 3 });
    const given = { kind: 'restore', targets: ['s/app'] } as const;
    put('restoreRequest/a/first', 'going', given);
    put('restoreRequest/a/second', 'waiting', given);
    expect(admission.turnOf('restoreRequest/a/second')).toEqual({
      admitted: false,
      waitsFor: 'waits for first, which restores to the same database',
    });
  });
});
