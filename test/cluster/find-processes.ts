import { readdirSync, readFileSync } from 'node:fs';

/** Processes of this machine in a control group (a part of its path) whose command line has a word. */
export function findProcesses(group: string, word: string): readonly number[] {
  const read = (pid: string, file: string): string => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, 'utf8');
    } catch {
      // It has ended meanwhile.
      return '';
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => read(pid, 'cgroup').includes(group) && read(pid, 'cmdline').split('\0').includes(word))
    .map(Number);
}
