import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Stops a server of a test with all its processes (SIGSTOP): it holds its connections and answers nothing. Resolves with what lets it go on. */
export async function freezePostgres(dir: string): Promise<() => void> {
  const [first = ''] = (await readFile(join(dir, 'cluster', 'postmaster.pid'), 'utf8')).split('\n');
  const postmaster = Number(first);
  // First of all, so that no new ones come.
  process.kill(postmaster, 'SIGSTOP');
  const children = (await readFile(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8')).split(' ');
  const pids = children.filter((pid) => pid.trim() !== '').map(Number);
  signalAll(pids, 'SIGSTOP');
  return () => signalAll([...pids, postmaster], 'SIGCONT');
}

function signalAll(pids: readonly number[], signalName: 'SIGSTOP' | 'SIGCONT'): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signalName);
    } catch {
      // It has ended meanwhile.
    }
  }
}
