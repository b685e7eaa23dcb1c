import { describe, expect, it } from 'vitest';
import { createServerClock } from '../../src/kube/server-clock.ts';
import { ManualClock } from './manual-clock.ts';

const minute = 60_000;
const day = 24 * 60 * minute;
const noon = Date.UTC(2026, 0, 1, 12);

function open(ownMs = noon) {
  const own = new ManualClock(ownMs);
  const told: string[] = [];
  const clock = createServerClock(own, {
    toleranceMs: 5 * minute,
    onChange: ({ isOff, aheadMs }) => told.push(`${isOff ? 'off' : 'right'} ${Math.round(aheadMs / minute)}`),
  });
  return { own, clock, told };
}

describe('The clock that is checked against the API server', () => {
  it('is our own before the first answer, and as long as the server agrees within five minutes', () => {
    const { own, clock, told } = open();
    expect(clock.aheadMs()).toBeUndefined();
    expect(clock.nowMs()).toBe(noon);
    clock.hear({ dateMs: noon - 4 * minute, tookMs: 20 });
    expect(clock.nowMs()).toBe(own.nowMs());
    clock.hear({ dateMs: noon + 5 * minute, tookMs: 20 });
    expect(clock.nowMs()).toBe(own.nowMs());
    expect(told).toEqual([]);
  });

  it.each([365 * day, 6 * minute, -6 * minute, -365 * day])(
    'is the server’s where our own is off by %d ms',
    async (off) => {
      const { own, clock, told } = open(noon + off);
      clock.hear({ dateMs: noon, tookMs: 0 });
      expect(Math.abs(clock.nowMs() - noon)).toBeLessThanOrEqual(1000);
      await own.advance(2 * 60 * minute);
      expect(Math.abs(clock.nowMs() - noon - 2 * 60 * minute)).toBeLessThanOrEqual(1000);
      expect(told).toEqual([`off ${Math.round(off / minute)}`]);
    },
  );

  it('finds a jump out at the next question, without another answer, and tells once when it begins and when it ends', async () => {
    const { own, clock, told } = open();
    clock.hear({ dateMs: noon, tookMs: 0 });
    await own.advance(minute);
    own.jump(365 * day);
    for (let asked = 0; asked < 3; asked += 1) {
      expect(Math.abs(clock.nowMs() - noon - minute)).toBeLessThanOrEqual(1000);
    }
    own.jump(-365 * day);
    expect(clock.nowMs()).toBe(own.nowMs());
    expect(told).toEqual([`off ${365 * 24 * 60}`, expect.stringMatching(/^right -?0$/)]);
  });

  it('does not go to and fro at the edge of what is tolerated', () => {
    const { clock, told } = open(noon + 5 * minute + 5000);
    for (let answer = 0; answer < 10; answer += 1) {
      clock.hear({ dateMs: noon + (answer % 2) * 10_000, tookMs: 0 });
      clock.nowMs();
    }
    expect(told).toEqual(['off 5']);
  });

  it('accuses nobody because of an answer that was long on its way', () => {
    const { clock, told } = open(noon + 5 * minute + 10_000);
    clock.hear({ dateMs: noon, tookMs: 30_000 });
    expect(told).toEqual([]);
    clock.hear({ dateMs: noon, tookMs: 50 });
    expect(told).toEqual(['off 5']);
  });

  it('takes its time again from the first answer after the machine has slept: its monotonic clock stood still', async () => {
    const { own, clock, told } = open();
    clock.hear({ dateMs: noon, tookMs: 0 });
    own.jump(8 * 60 * minute);
    expect(clock.nowMs()).toBeLessThan(noon + minute);
    clock.hear({ dateMs: noon + 8 * 60 * minute, tookMs: 0 });
    expect(clock.nowMs()).toBe(own.nowMs());
    expect(told).toHaveLength(2);
  });
});
