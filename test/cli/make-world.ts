import { PassThrough } from 'node:stream';
import type { CommandWorld } from '../../src/cli/command-world.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';

/** A world whose outputs are texts. */
export function makeWorld(env: Readonly<Record<string, string>> = {}): {
  readonly world: CommandWorld;
  readonly stop: AbortController;
  readonly stdout: () => string;
  readonly stderr: () => string;
} {
  const stop = new AbortController();
  const written = { stdout: '', stderr: '' };
  const sink = (name: 'stdout' | 'stderr'): PassThrough => {
    const stream = new PassThrough();
    stream.on('data', (piece: Buffer) => (written[name] += piece.toString()));
    return stream;
  };
  return {
    world: {
      clock: systemClock,
      random: systemRandom,
      env,
      folder: '/',
      stdin: new PassThrough(),
      stdout: sink('stdout'),
      stderr: sink('stderr'),
      self: ['/bin/false'],
      hostName: 'host',
      processId: 1,
      platform: 'linux',
      signal: stop.signal,
      onForce: () => undefined,
    },
    stop,
    stdout: () => written.stdout,
    stderr: () => written.stderr,
  };
}
