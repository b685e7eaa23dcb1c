#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Failure } from './api/failure.ts';
import { describeError } from './cli/describe-error.ts';
import type { Commands } from './cli/program.ts';
import { runCommandLine } from './cli/run-command-line.ts';
import type { CommandWorld } from './cli/command-world.ts';
import { systemClock, systemRandom } from './support/clock.ts';

// The front door: the only place that reads argv and the environment, hears signals and exits.

const killedByInterrupt = 130;
const shell = '/bin/sh';
const argv = process.argv.slice(2);

const stop = new AbortController();
const forced: (() => void)[] = [];
const onSignal = (signalName: NodeJS.Signals): void => {
  if (!stop.signal.aborted) {
    stop.abort(new Failure('Aborted', `stopped by ${signalName}`));
    return;
  }
  // Who asks again does not want to wait. A second SIGTERM is a supervisor repeating itself: it may send SIGKILL.
  if (signalName !== 'SIGINT') return;
  for (const call of forced) call();
  leave(killedByInterrupt);
};
process.on('SIGINT', onSignal);
process.on('SIGTERM', onSignal);

const onBug = (error: unknown): void => {
  process.stderr.write(`${describeError(error, argv.includes('--debug') || argv[0] !== 'local').lines.join('\n')}\n`);
  for (const call of forced) call();
  leave(1);
};
process.on('uncaughtException', onBug);
process.on('unhandledRejection', onBug);
// Who reads our output may have gone (`| head`), or its disk may be full. Neither ends the work nor changes what came of it: the exit
// code stays that of the command. Commands whose output is all they make look themselves whether it was written.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

/**
 * Node's own exit waits for the threads that do file calls and look up names, and some of those never end. A process that becomes another
 * program does not wait for its threads.
 */
function leave(code: number): never {
  const waits = process.getActiveResourcesInfo().some((name) => /Req(Wrap|Promise|Callback)$/.test(name));
  if (waits && existsSync(shell)) process.execve?.(shell, ['sh', '-c', `exit ${code}`], {});
  process.exit(code);
}

const world: CommandWorld = {
  clock: systemClock,
  random: systemRandom,
  env: process.env,
  folder: process.cwd(),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  self: [process.execPath, fileURLToPath(import.meta.url)],
  hostName: hostname(),
  processId: process.pid,
  platform: process.platform,
  signal: stop.signal,
  onForce: (call) => void forced.push(call),
};

// Each command is imported when it is asked for: a runner's memory is counted.
const commands: Commands = {
  local: async (...args) => (await import('./cli/local.ts')).runLocalCommand(...args),
  localRestore: async (...args) => (await import('./cli/local-restore.ts')).runLocalRestore(...args),
  controller: async (...args) => (await import('./cli/controller.ts')).runController(...args),
  keygen: async (...args) => (await import('./cli/keygen.ts')).keygen(...args),
  decrypt: async (...args) => (await import('./cli/decrypt.ts')).decrypt(...args),
  encrypt: async (...args) => (await import('./cli/encrypt.ts')).encrypt(...args),
  verifyManifest: async (...args) => (await import('./cli/verify-manifest.ts')).verifyManifest(...args),
  rewrap: async (...args) => (await import('./cli/rewrap.ts')).rewrap(...args),
  recipients: async (...args) => (await import('./cli/decrypt.ts')).recipients(...args),
  runner: async (...args) => (await import('./cli/runner.ts')).runRunner(...args),
};

const exitCode = await runCommandLine(argv, world, commands);
// What was written must have left before the process does.
await Promise.all(
  [process.stdout, process.stderr].map(async (stream) => new Promise((resolve) => stream.write('', resolve))),
);
leave(exitCode);
