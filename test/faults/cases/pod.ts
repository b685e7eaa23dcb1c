import { expect } from 'vitest';
import type { Arranged, Expected, FaultCase } from '../fault-case.ts';
import type { FaultStand } from '../fault-stand.ts';
import { backupNamed, until } from '../waiting.ts';

/** The upload to S3 stalls in the middle (of 41 parts, or of two), so that the runner is there when the signal comes. */
async function arrangeMiddle(
  stand: FaultStand,
  name: string,
  signal: NodeJS.Signals,
  database: 'big' | 'large',
  more: Partial<Arranged> = {},
): Promise<Arranged> {
  const middle = database === 'large' ? 20 : 1;
  const [bucket, folder] = [await stand.makeS3(name), await stand.makeFolder(`${name}-folder`)];
  let killed = 0;
  return {
    places: [bucket, folder],
    postgres: await stand.postgresProxy(),
    databases: [database],
    arm: async () =>
      stand.http.script(name, ({ verb, index }) => (verb === 'part' && index === middle ? 'stall' : undefined)),
    during: async ({ backup }) => {
      await until('the upload is in the middle', () => stand.http.faults(name) > 0);
      for (const { pid, isNode } of await stand.runnersOf(backup)) {
        if (!isNode) continue;
        process.kill(pid, signal);
        killed += 1;
      }
    },
    met: () => killed === 1,
    lift: async () => stand.http.script(name, undefined),
    ...more,
  };
}

const failed = (reason: 'Aborted' | 'RunnerKilled', remains: readonly number[]): Expected => ({
  succeeded: 'False',
  reason,
  destinations: reason === 'Aborted' ? [reason, reason] : [],
  remains,
});

export const podCases: readonly FaultCase[] = [
  {
    name: 'pod-terminated',
    room: 'pod',
    dump: 'large',
    fault: 'the runner gets SIGTERM in the middle of an upload',
    arrange: (stand, name) => arrangeMiddle(stand, name, 'SIGTERM', 'large'),
    expect: failed('Aborted', []),
  },
  {
    name: 'pod-killed',
    room: 'pod',
    fault: 'the runner gets SIGKILL in the middle of an upload, and there are no retries',
    arrange: (stand, name) => arrangeMiddle(stand, name, 'SIGKILL', 'big'),
    expect: failed('RunnerKilled', [0, 1]),
  },
  {
    name: 'pod-killed-then-retried',
    room: 'pod',
    dump: 'large',
    fault: 'the runner gets SIGKILL in the middle of an upload; the Job tries again beside the remains',
    arrange: (stand, name) =>
      arrangeMiddle(stand, name, 'SIGKILL', 'large', {
        spec: { runner: { retries: 1 } },
        afterwards: async () => {
          const { storedBytes, destinations } = backupNamed(stand.operator, `${name}-meets-fault`)?.status ?? {};
          // What the dead try left behind is not counted: the size is the dump's and a manifest of a few KB.
          for (const { bytes = 0 } of destinations ?? []) {
            expect(bytes - (storedBytes ?? 0)).toBeGreaterThan(0);
            expect(bytes - (storedBytes ?? 0)).toBeLessThan(20_000);
          }
        },
      }),
    expect: { succeeded: 'True', reason: 'Succeeded', destinations: ['Stored', 'Stored'], remains: [0, 1] },
  },
];
