import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Failure } from '../../src/api/failure.ts';
import { openClaims } from '../../src/local/lock-claims.ts';
import { nameSocketSpace } from '../../src/local/lock-socket.ts';
import { lockState, type LockOptions, type StateLock } from '../../src/local/lock-state.ts';
import { systemClock, systemRandom, type Clock } from '../../src/support/clock.ts';
import { until } from './executor-world.ts';

let folder: string;
const locks: StateLock[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pgbackup-lock-'));
});
afterEach(async () => {
  for (const lock of locks.splice(0)) await lock.release();
  await rm(folder, { recursive: true });
});

/** Ten times as fast as the system's, and its wall clock jumps to and fro. */
const fast: Clock = {
  nowMs: () => Date.now() + (Math.random() - 0.5) * 1e11,
  monotonicMs: () => performance.now() * 10,
  sleep: (ms, signal) => systemClock.sleep(ms / 10, signal),
};
const lock = async (options: Partial<LockOptions> = {}): Promise<StateLock> => {
  const made = await lockState(folder, {
    platform: 'linux',
    clock: fast,
    random: systemRandom,
    hostName: 'a',
    ...options,
  });
  locks.push(made);
  return made;
};
/** What the one of another container left, who knows nothing of our sockets. */
const claimOfOther = async (number: number, beat: number, more: object = {}): Promise<void> => {
  await mkdir(join(folder, 'owner'), { recursive: true });
  const claim = { owner: 'other', host: 'container-b', space: 'boot net:[1]', beat, ...more };
  await writeFile(join(folder, 'owner', String(number)), JSON.stringify(claim));
};

describe('the lock of a state folder', () => {
  it.each(['linux', 'other'])('lets in one at a time (%s)', async (platform) => {
    const first = await lock({ platform });
    expect(first.isHeld()).toBe(true);
    await expect(lock({ platform })).rejects.toMatchObject({ reason: 'NameTaken' });
    const other = join(folder, 'other');
    await mkdir(other);
    const beside = await lockState(other, { platform, clock: fast, random: systemRandom, hostName: 'a' });
    await beside.release();
    await first.release();
    expect((await lock({ platform })).isHeld()).toBe(true);
  });

  it('is refused while another container’s heartbeat goes on, and says where', async () => {
    let beat = 0;
    await claimOfOther(4, beat);
    const beating = setInterval(() => void claimOfOther(4, (beat += 1)), 200);
    try {
      await expect(lock()).rejects.toMatchObject({
        reason: 'NameTaken',
        message: `another pgbackup local works in ${folder} (on container-b)`,
      });
    } finally {
      clearInterval(beating);
    }
    expect(await readdir(join(folder, 'owner'))).toEqual(['4']);
  });

  it('is taken over from one that beats no more, whatever its claim says of the time, and from one that said goodbye', async () => {
    await claimOfOther(4, 7);
    const waits: unknown[] = [];
    const onWait = (wait: unknown): unknown => waits.push(wait);
    const first = await lock({ onWait });
    expect(waits).toEqual([{ host: 'container-b', longestMs: 19_000 }]);
    expect(first.isHeld()).toBe(true);
    expect(await readdir(join(folder, 'owner'))).toEqual(['5']);
    await first.release();
    await claimOfOther(9, 0, { released: true });
    expect((await lock({ onWait })).isHeld()).toBe(true);
    expect(waits).toHaveLength(1);
    expect(await readdir(join(folder, 'owner'))).toEqual(['10']);
  });

  it('is taken over from a file that nobody can read', async () => {
    await mkdir(join(folder, 'owner'));
    await writeFile(join(folder, 'owner', '3'), '');
    expect((await lock()).isHeld()).toBe(true);
  });

  it('is lost, once and with the reason, when another one has taken it over; its claim is left alone then', async () => {
    const told: Failure[] = [];
    const ours = await lock({ onLost: (reason) => told.push(reason) });
    await claimOfOther(2, 0);
    await until('it is told', async () => told.length > 0);
    expect(ours.isHeld()).toBe(false);
    expect(told).toMatchObject([{ reason: 'NameTaken', message: expect.stringContaining('taken it over') as string }]);
    await ours.release();
    expect(told).toHaveLength(1);
    const claims = await readdir(join(folder, 'owner'));
    expect(claims).toContain('2');
  });

  it('is held no more, before any timer tells, by one that was frozen', async () => {
    let frozenMs = 0;
    const clock = { ...fast, monotonicMs: () => fast.monotonicMs() + frozenMs };
    const ours = await lock({ clock });
    frozenMs = 60_000;
    expect(ours.isHeld()).toBe(false);
    // Nobody came meanwhile: it goes on with its next heartbeat.
    await until('it is held again', async () => ours.isHeld());
  });

  it('is lost when no heartbeat can be written', async () => {
    const told: Failure[] = [];
    const ours = await lock({ onLost: (reason) => told.push(reason) });
    await rm(join(folder, 'owner'), { recursive: true });
    await until('it is told', async () => told.length > 0);
    expect(ours.isHeld()).toBe(false);
  });

  it('is taken over at once from one that the socket would have told of', async () => {
    await claimOfOther(1, 0, { space: nameSocketSpace('linux') });
    const sleeps: number[] = [];
    const clock: Clock = { ...fast, sleep: (ms, signal) => (sleeps.push(ms), fast.sleep(ms, signal)) };
    expect((await lock({ clock })).isHeld()).toBe(true);
    // The first heartbeat is the first thing that is waited for.
    expect(sleeps).toEqual([2000]);
  });

  it('is one’s only, of many who find it dead at the same time', async () => {
    await claimOfOther(1, 0);
    const claims = openClaims(join(folder, 'owner'));
    const all = Array.from({ length: 20 }, (_, index) => claims.make(2, { owner: String(index), host: 'a', beat: 0 }));
    expect((await Promise.all(all)).filter(Boolean)).toHaveLength(1);
  });
});
