import { hostStorage } from './storage/apart-host.ts';
import type { Answer, Order } from './storage/apart-messages.ts';
import { openDirectory } from './storage/directory.ts';
import { systemRandom } from './support/clock.ts';

// The back door: the process that does the file calls in one folder for another process (storage/apart.ts), because a file call can hang
// in the kernel for ever, and a process with such a thread cannot even exit.

/** Left alone V8 collects so rarely that dead buffers pile up: they do not lie on its heap. */
const collectEveryBytes = 1024 * 1024;
let sinceCollection = 0;
function release(bytes: number): void {
  sinceCollection += bytes;
  if (sinceCollection < collectEveryBytes) return;
  sinceCollection = 0;
  globalThis.gc?.({ type: 'minor' });
}

const [, , path = ''] = process.argv;
const order = hostStorage(openDirectory({ path }, { random: systemRandom }), (answer: Answer) => {
  if (process.connected) process.send?.(answer);
});
process.on('message', (message) => {
  const given = message as Order;
  order(given);
  if (given.is === 'chunk') release(given.chunk?.length ?? 0);
});
// It ends with its channel, not with a signal that is meant for the whole group: what it does then is told by the other process.
for (const signalName of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signalName, () => undefined);
// Not by an exit, which would wait for threads.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
