import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const claimLength = 640;

/** What its owner writes into a claim again and again. */
export interface Claim {
  /** Of the process. */
  readonly owner: string;
  readonly host: string;
  /** As `nameSocketSpace` says. */
  readonly space?: string | undefined;
  /** Grows with each heartbeat. */
  readonly beat: number;
  /** The owner has ended and wrote that it did. */
  readonly released?: true;
}

/**
 * Claims to a folder are files in it, 1, 2, 3 …: the highest counts. A number is taken by making its file, which only one can do, so
 * nobody takes a claim away from anyone but the one that was looked at; whoever finds a higher one than its own has lost.
 */
export interface Claims {
  /** The highest number, and the text of its file, empty when it cannot be read. 0: there is none. */
  highest(): Promise<{ readonly number: number; readonly text: string }>;
  /** Makes a claim. @returns false when somebody else has taken the number */
  make(number: number, claim: Claim): Promise<boolean>;
  /** Writes into one that is there. */
  write(number: number, claim: Claim): Promise<void>;
  /** Removes those before a number. */
  removeBefore(number: number): Promise<void>;
}

export function openClaims(folder: string): Claims {
  const path = (number: number): string => join(folder, String(number));
  const numbers = async (): Promise<readonly number[]> =>
    (await readdir(folder)).filter((name) => /^[1-9]\d{0,14}$/.test(name)).map(Number);
  return {
    highest: async () => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const number = Math.max(0, ...(await numbers()));
      return { number, text: number === 0 ? '' : await readFile(path(number), 'utf8').catch(() => '') };
    },
    make: async (number, claim) => {
      try {
        await writeFile(path(number), print(claim), { flag: 'wx', mode: 0o600 });
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
        throw error;
      }
    },
    write: async (number, claim) => writeFile(path(number), print(claim), { flag: 'r+' }),
    removeBefore: async (number) => {
      for (const each of await numbers()) if (each < number) await rm(path(each), { force: true });
    },
  };
}

/** All of one length, so that each covers the one before it, and no file is ever empty in between. */
const print = (claim: Claim): string => `${JSON.stringify(claim).padEnd(claimLength)}\n`;

/** @returns undefined for what is no claim, such as one that is being written */
export function readClaim(text: string): Claim | undefined {
  try {
    const { owner, host, beat, space, released } = JSON.parse(text) as Partial<Claim>;
    if (typeof owner !== 'string' || typeof host !== 'string' || typeof beat !== 'number') return undefined;
    return { owner, host, beat, ...(space === undefined ? {} : { space }), ...(released === true ? { released } : {}) };
  } catch {
    return undefined;
  }
}
