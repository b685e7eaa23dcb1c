import { afterEach, beforeEach } from 'vitest';
import { openS3 } from '../../src/storage/s3.ts';
import type { S3Options } from '../../src/storage/s3-options.ts';
import type { Storage, StoredObject } from '../../src/storage/storage.ts';
import { type Clock, systemClock, systemRandom } from '../../src/support/clock.ts';
import { type S3Request, type ScriptedS3, startScriptedS3 } from '../servers/scripted-s3.ts';
import { patternBody } from '../suites/bodies.ts';

export const MiB = 1024 * 1024;
export const go = new AbortController().signal;

export interface S3Stand {
  server: ScriptedS3;
  storage: Storage;
  /** Every wait that was not only a limit, in milliseconds. */
  slept: number[];
  open(more?: Partial<S3Options>): Storage;
  putBig(storage?: Storage): Promise<StoredObject>;
  count(what: S3Request['what']): number;
}

/** A scripted server and the driver before it; a fresh one for each test. Waits take no time, and are remembered. */
export function useScriptedS3(): S3Stand {
  let shift = 0;
  const stand: S3Stand = {
    server: undefined as unknown as ScriptedS3,
    storage: undefined as unknown as Storage,
    slept: [],
    open: (more = {}) => {
      const storage = openS3(
        {
          bucket: 'bucket',
          endpoint: stand.server.endpoint,
          forcePathStyle: true,
          credentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'very-secret' },
          ...more,
        },
        { clock, random: systemRandom },
      );
      opened.push(storage);
      return storage;
    },
    putBig: (storage = stand.storage) => storage.put('big', patternBody(20 * MiB), {}, go),
    count: (what) => stand.server.requests.filter((request) => request.what === what).length,
  };
  const opened: Storage[] = [];
  /** Limits are waited for beside the work and end with it; a wait that somebody waits for passes at once, and time with it. */
  const clock: Clock = {
    ...systemClock,
    monotonicMs: () => systemClock.monotonicMs() + shift,
    sleep: async (ms, signal) => {
      if (limits.has(ms)) return await systemClock.sleep(ms, signal);
      stand.slept.push(ms);
      shift += ms;
      await systemClock.sleep(0, signal);
    },
  };
  beforeEach(async () => {
    stand.server = await startScriptedS3();
    stand.slept = [];
    stand.storage = stand.open();
  });
  afterEach(async () => {
    for (const storage of opened.splice(0)) await storage.close();
    await stand.server.stop();
  });
  return stand;
}

/** For one request, and for tidying up. */
const limits: ReadonlySet<number> = new Set([15 * 60_000, 20_000]);
