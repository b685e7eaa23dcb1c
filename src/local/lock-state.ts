import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../api/failure.ts';
import type { Clock, Random } from '../support/clock.ts';
import { openClaims, readClaim, type Claim, type Claims } from './lock-claims.ts';
import { listenAlone, nameSocketSpace } from './lock-socket.ts';

/** An owner says so often that it lives. */
const beatMs = 2_000;
/** An owner that could not say so for so long counts as none any more, for itself. */
const termMs = 10_000;
/** For others after so long: no earlier than for itself. */
const staleMs = 15_000;
const lookMs = 250;
/** An owner that was frozen until it was replaced has found out by then. */
const thawMs = 2 * beatMs;

export interface LockOptions {
  readonly platform: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Of this machine, for people. */
  readonly hostName: string;
  /** Told once, of why, when the folder is somebody else's. */
  readonly onLost?: (reason: Failure) => void;
  /** Told at once when it takes time to find out whether an owner is dead: where that one works, and the longest time. */
  readonly onWait?: (wait: LockWait) => void;
}

export interface LockWait {
  /** The host of the owner before. */
  readonly host: string | undefined;
  readonly longestMs: number;
}

export interface StateLock {
  /** False as soon as somebody else may own the folder: it goes by time, not by timers, so a process that was frozen sees it at once. */
  isHeld(): boolean;
  release(): Promise<void>;
}

/**
 * Keeps every other operator off a state folder, in whatever container or machine, until it is released or this process has ended. The
 * lock is a file with a heartbeat, which nobody dates: a claim is dead when it was not seen to change for its time, by the watcher's own
 * steady clock. In the same network namespace a socket tells at once whether the owner lives. @throws Failure NameTaken
 */
export async function lockState(folder: string, options: LockOptions): Promise<StateLock> {
  const { platform, clock, random, hostName, onLost, onWait } = options;
  const whole = await realpath(folder);
  const close = await listenAlone(whole, platform);
  if (close === undefined) throw taken(folder);
  const claims = openClaims(join(whole, 'owner'));
  const owner = Buffer.from(random.bytes(12)).toString('hex');
  const claim = (beat: number): Claim => ({ owner, host: hostName, space: nameSocketSpace(platform), beat });
  const ended = new AbortController();
  try {
    const number = await takeOver({ claims, claim: claim(0), clock, folder, onWait });
    let renewedMs = clock.monotonicMs();
    let lost: Failure | undefined;
    let beats: Promise<unknown> = Promise.resolve();
    const lose = (why: string): void => {
      lost ??= new Failure('NameTaken', `this pgbackup local has lost ${folder}: ${why}`, {
        hint: 'start it again when no other one works there',
      });
      if (!ended.signal.aborted) onLost?.(lost);
    };
    const told = (): boolean => lost !== undefined;
    const beat = async (count: number): Promise<void> => {
      const sentMs = clock.monotonicMs();
      // Looks first: what has been taken is not written to.
      const { number: highest } = await claims.highest();
      if (highest !== number) return lose(highest === 0 ? 'its claim was removed' : 'another one has taken it over');
      await claims.write(number, claim(count));
      renewedMs = sentMs;
    };
    const keep = async (): Promise<void> => {
      for (let count = 1; !told(); count += 1) {
        await clock.sleep(beatMs, ended.signal);
        let error: unknown;
        beats = beat(count).catch((reason: unknown) => void (error = reason));
        await Promise.race([beats, clock.sleep(termMs, ended.signal)]);
        if (clock.monotonicMs() - renewedMs >= staleMs) lose(`no heartbeat could be written: ${String(error)}`);
      }
    };
    const keeping = keep().catch(() => undefined);
    return {
      isHeld: () => lost === undefined && clock.monotonicMs() - renewedMs < termMs,
      release: async () => {
        ended.abort();
        await keeping;
        // A heartbeat after the goodbye would belie it.
        await Promise.race([beats, clock.sleep(termMs, new AbortController().signal)]);
        if (lost === undefined) await claims.write(number, { ...claim(0), released: true }).catch(() => undefined);
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Taking {
  readonly claims: Claims;
  readonly claim: Claim;
  readonly clock: Clock;
  readonly folder: string;
  readonly onWait: LockOptions['onWait'];
}

/** Makes the next claim, as soon as the one before it is nobody's. @throws Failure NameTaken when it is seen to be somebody's */
async function takeOver({ claims, claim, clock, folder, onWait }: Taking): Promise<number> {
  const never = new AbortController().signal;
  const seen = await claims.highest();
  const before = readClaim(seen.text);
  // An owner that this socket would have seen, or one that said goodbye, is gone.
  const isOver = seen.number === 0 || before?.released === true || isSameSpace(before, claim);
  if (!isOver) onWait?.({ host: before?.host, longestMs: staleMs + thawMs });
  const giveUpMs = clock.monotonicMs() + (isOver ? 0 : staleMs);
  while (clock.monotonicMs() < giveUpMs) {
    await clock.sleep(lookMs, never);
    const now = await claims.highest();
    if (now.number !== seen.number || now.text !== seen.text) throw taken(folder, readClaim(now.text) ?? before);
  }
  const number = seen.number + 1;
  if (!(await claims.make(number, claim))) throw taken(folder);
  if (!isOver) await clock.sleep(thawMs, never);
  await claims.removeBefore(number);
  return number;
}

const isSameSpace = (before: Claim | undefined, own: Claim): boolean =>
  before?.space !== undefined && before.space === own.space;

function taken(folder: string, by?: Claim): Failure {
  const where = by === undefined ? '' : ` (on ${by.host})`;
  return new Failure('NameTaken', `another pgbackup local works in ${folder}${where}`, {
    hint: 'stop it, or give this one a folder of its own with --state-dir',
  });
}
