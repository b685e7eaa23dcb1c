import { afterEach, beforeEach, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { shortHash } from '../../src/domain/attempt.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { changeStorage } from '../builders/change-storage.ts';
import { backupOf, deletionOf, pruneAt, retentionOf, startPruneStand, type PruneStand } from './prune-stand.ts';

let stand: PruneStand;
beforeEach(async () => {
  stand = await startPruneStand();
});
afterEach(() => stand.stop());

const [one, two, newest] = [
  backupOf(1, { globals: true }),
  backupOf(2, { isEncrypted: true }),
  backupOf(3, { globals: true }),
];
const remains = `shop/nightly/nightly-01/${shortHash('uid-of-nightly-01').slice(-3)}11111/orders.dump`;

/** Nothing is asked of the place from the n-th question on; the n-th itself is answered or not, and the answer is lost. */
function killedAt(n: number, isDone: boolean, onDeleted: () => Promise<void>) {
  let asked = 0;
  const kill = new Failure('StorageUnreachable', 'killed');
  let turn: Promise<unknown> = Promise.resolve();
  /** One after the other: nothing changes while it is looked at what is there. */
  const ask = <T>(work: () => Promise<T>): Promise<T> => {
    const answer = turn.then(async () => {
      asked += 1;
      const mine = asked;
      if (mine > n || (mine === n && !isDone)) throw kill;
      const found = await work();
      if (mine === n) throw kill;
      return found;
    });
    turn = answer.catch(() => undefined);
    return answer;
  };
  async function* items<T>(all: AsyncIterable<T>): AsyncGenerator<T> {
    await ask(async () => undefined);
    yield* all;
  }
  const storage: Storage = changeStorage(stand.place, {
    put: () => Promise.reject(new Error('a prune puts nothing')),
    get: (...given) => items(stand.place.get(...given)),
    list: (...given) => items(stand.place.list(...given)),
    stat: (...given) => ask(() => stand.place.stat(...given)),
    delete: (...given) =>
      ask(async () => {
        await stand.place.delete(...given);
        await onDeleted();
      }),
  });
  return { storage, wasKilled: () => asked >= n };
}

const tasks = [
  ['retention', retentionOf([one, two], [newest])],
  ['a deletion', deletionOf([one, two])],
] as const;

test.each(tasks)(
  'wherever a prune for %s is killed, no manifest ever stands over a missing volume, and the next one ends all the same',
  async (_, task) => {
    let kills = 0;
    let deletes = 0;
    const broken: string[] = [];
    const check = async (): Promise<void> => {
      deletes += 1;
      broken.push(...(await stand.broken()));
    };
    for (const isDone of [false, true]) {
      for (let n = 1; ; n += 1) {
        await stand.empty();
        await stand.lay(one, two, newest);
        await stand.put(remains, 'remains', one.storedMs - 1000);
        await stand.put('shop/nightly/nightly-01/README', 'foreign', one.storedMs);
        const killed = killedAt(n, isDone, check);
        await pruneAt(killed.storage, task);
        if (!killed.wasKilled()) break;
        kills += 1;
        const { verdict, backups } = await pruneAt(killedAt(Infinity, true, check).storage, task);
        expect(verdict).toMatchObject({ verdict: 'Succeeded', removed: 2, failed: 0, refused: 0 });
        expect(verdict.message).toBeUndefined();
        expect(backups.every(({ outcome }) => outcome === 'Removed' || outcome === 'Gone')).toBe(true);
        expect(await stand.left()).toEqual(['shop/nightly/nightly-01/README', ...newest.objects.keys()].toSorted());
      }
    }
    expect(broken).toEqual([]);
    expect(kills).toBeGreaterThan(30);
    expect(deletes).toBeGreaterThan(200);
  },
);
