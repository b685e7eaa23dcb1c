import { describe, expect, test } from 'vitest';
import { openPace, type Pace } from '../../src/runner/backup/pace.ts';

const hour = 3_600_000;

interface Run {
  readonly pace: Pace;
  /** A second in which so many bytes go by. */
  second(bytes: number, holding: readonly string[]): readonly string[];
}

function start(changes: { deadlineMs?: number | undefined; totalBytes?: number | undefined } = {}): Run {
  let nowMs = 0;
  let passed = 0;
  const pace = openPace({
    deadlineMs: hour,
    totalBytes: 3_600_000_000,
    ...changes,
    passedBytes: () => passed,
    nowMs: () => nowMs,
    bestEffort: new Set(['usb']),
  });
  return {
    pace,
    second: (bytes, holding) => {
      nowMs += 1000;
      passed += bytes;
      return [...pace.look(holding).keys()];
    },
  };
}

function run(seconds: number, bytes: number, holding: readonly string[], how = start()): readonly string[] {
  const dropped: string[] = [];
  for (let second = 0; second < seconds; second += 1) dropped.push(...how.second(bytes, holding));
  return dropped;
}

// To be done in an hour it has to be 1 MB a second, and a tenth more.
describe('A best-effort place that sets the pace', () => {
  test('is left out within a minute or so when the run would not be done before its deadline', () => {
    const how = start();
    expect(run(59, 500_000, ['usb'], how)).toEqual([]);
    expect(run(2, 500_000, ['usb'], how)).toEqual(['usb']);
  });

  test('says how fast it is, and what can be done', () => {
    const how = start();
    run(59, 512_000, ['usb'], how);
    const failure = how.pace.look(['usb']).get('usb');
    expect(failure).toMatchObject({ reason: 'StorageTooSlow' });
    expect(failure?.message).toContain('usb takes 500 KiB/s');
    expect(failure?.hint).toContain('deadlineSeconds');
  });

  test('stays when there is time enough', () => {
    expect(run(600, 1_300_000, ['usb'])).toEqual([]);
  });

  test('stays when it pauses and goes on fast enough', () => {
    const how = start();
    expect(run(40, 0, ['usb'], how)).toEqual([]);
    expect(run(600, 5_000_000, ['usb'], how)).toEqual([]);
  });

  test('is left out in the middle, when the others have become fast and it has not', () => {
    const how = start();
    expect(run(600, 1_300_000, [], how)).toEqual([]);
    expect(run(90, 300_000, ['usb'], how)).toEqual(['usb']);
  });
});

describe('Nobody is left out', () => {
  test('when a required place sets the pace', () => {
    expect(run(600, 100_000, ['cloud'])).toEqual([]);
  });

  test('when the server of the databases does', () => {
    expect(run(600, 100_000, [])).toEqual([]);
  });

  test('when deadline or size are not known', () => {
    expect(run(600, 1, ['usb'], start({ deadlineMs: undefined }))).toEqual([]);
    expect(run(600, 1, ['usb'], start({ totalBytes: undefined }))).toEqual([]);
  });
});
