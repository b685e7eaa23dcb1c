import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { sep } from 'node:path';
import type { Clock } from '../support/clock.ts';

const pollMs = 50;
/** What SIGKILL has not ended by then hangs in the kernel, for as long as that likes. */
export const killMs = 5_000;

/**
 * Ends every process that still works in a pod's folder: what a container's process left behind in sessions of its own, or what a
 * killed operator left running. First SIGTERM when there is a grace, then SIGKILL. A shell that somebody opened there has a terminal,
 * and is left alone. Where there is no /proc, nothing is found.
 * @returns when they are gone; or with those that even SIGKILL does not end, as text
 */
export async function endStrays(folder: string, graceMs: number, clock: Clock): Promise<readonly string[]> {
  const never = new AbortController().signal;
  const killAtMs = clock.monotonicMs() + graceMs;
  let asked = false;
  for (let pids = findStrays(folder); pids.length > 0; pids = findStrays(folder)) {
    if (clock.monotonicMs() >= killAtMs + killMs) return pids.map(describeProcess);
    const kills = clock.monotonicMs() >= killAtMs;
    if (kills || !asked) for (const pid of pids) sendSignal(pid, kills ? 'SIGKILL' : 'SIGTERM');
    asked = true;
    await clock.sleep(pollMs, never);
  }
  return [];
}

/** A process as somebody would look for it: pid, program, and where in the kernel it waits. */
export function describeProcess(pid: number): string {
  const read = (file: string): string => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, 'utf8').trim();
    } catch {
      return '?';
    }
  };
  return `process ${pid} (${read('comm')}, waits in ${read('wchan')})`;
}

/** Kills them now, without waiting. */
export function killStrays(folder: string): void {
  for (const pid of findStrays(folder)) sendSignal(pid, 'SIGKILL');
}

function findStrays(folder: string): readonly number[] {
  return processIds().filter((pid) => {
    try {
      const cwd = readlinkSync(`/proc/${pid}/cwd`);
      if (cwd !== folder && !cwd.startsWith(folder + sep)) return false;
      // Fields after the program's name, which may hold anything: state, ppid, pgrp, session, tty_nr.
      const [state, , , , tty] = readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ');
      return tty === '0' && state !== 'Z';
    } catch {
      // Gone meanwhile, or somebody else's.
      return false;
    }
  });
}

function processIds(): readonly number[] {
  try {
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => Number.isInteger(pid) && pid > 1 && pid !== process.pid);
  } catch {
    return [];
  }
}

/** How often the kernel has killed something for want of memory since it started; 0 where it does not say. */
export function countOomKills(): number {
  try {
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync('/proc/vmstat', 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

function sendSignal(pid: number, signalName: NodeJS.Signals): void {
  try {
    process.kill(pid, signalName);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
