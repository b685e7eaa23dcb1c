import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { runCommand, type CommandEnd, type CommandOptions } from '../../src/pipeline/command.ts';
import { systemClock } from '../../src/support/clock.ts';
import { collect, failingAfter, inPieces, rejection, sampleBytes } from './streams.ts';

const never = new AbortController().signal;
const env = { PATH: '/usr/bin:/bin' };

function options(args: readonly string[], more: Partial<CommandOptions> = {}): CommandOptions {
  return {
    program: 'sh',
    args: ['-c', ...args],
    env,
    clock: systemClock,
    graceMs: 200,
    classify: (end) => new Failure('DumpFailed', describeEnd(end)),
    ...more,
  };
}

function describeEnd(end: CommandEnd): string {
  if (end.kind === 'exit') return `exit ${end.exitCode}: ${end.stderrTail.trim()}`;
  if (end.kind === 'signal') return `signal ${end.signalName}`;
  return `spawn ${(end.error as NodeJS.ErrnoException).code ?? end.error.message}`;
}

function isAlive(pid: number): boolean {
  try {
    // A zombie still answers to signals.
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await systemClock.sleep(5, never);
}

describe('runCommand', () => {
  test('gives out all bytes of stdout in chunks of 1 MiB', async () => {
    const command = runCommand(options(['head -c 5000000 /dev/zero']), never);
    const sizes: number[] = [];
    for await (const chunk of command.stdout) sizes.push(chunk.length);
    expect(sizes).toEqual([1 << 20, 1 << 20, 1 << 20, 1 << 20, 5_000_000 - 4 * (1 << 20)]);
    expect(await command.done).toEqual({ stdinTaken: true });
  });

  test.each([0, 1, 100_000, 3_000_000])('fails after %i good bytes when the exit code is not 0', async (bytes) => {
    const command = runCommand(options([`head -c ${bytes} /dev/zero; echo 'no space' >&2; exit 3`]), never);
    let received = 0;
    const read = async () => {
      for await (const chunk of command.stdout) received += chunk.length;
    };
    expect(await rejection(read())).toMatchObject({ reason: 'DumpFailed', message: 'exit 3: no space' });
    expect(received).toBe(bytes);
  });

  test('fails when stdout was closed long before the bad exit', async () => {
    const command = runCommand(options(['echo whole; exec >&-; sleep 0.2; echo late >&2; exit 4']), never);
    expect(await rejection(collect(command.stdout))).toMatchObject({ message: 'exit 4: late' });
  });

  test('fails when a signal ended it', async () => {
    const command = runCommand(options(['echo half; kill -KILL $$']), never);
    expect(await rejection(collect(command.stdout))).toMatchObject({ message: 'signal SIGKILL' });
  });

  test.each([
    ['/nowhere/program', 'spawn ENOENT'],
    ['/etc', 'spawn EACCES'],
    ['nul\0byte', 'spawn ERR_INVALID_ARG_VALUE'],
  ])('fails when %j cannot be started', async (program, message) => {
    const command = runCommand(options([''], { program }), never);
    expect(await rejection(collect(command.stdout))).toMatchObject({ message });
    expect(await rejection(command.done)).toMatchObject({ message });
  });

  test('keeps the last 64 KiB of stderr, however much there is', async () => {
    const command = runCommand(options(['head -c 3000000 /dev/zero | tr "\\0" x >&2; echo END >&2']), never);
    await collect(command.stdout);
    expect(command.stderrTail().length).toBe(64 * 1024);
    expect(command.stderrTail().endsWith('xEND\n')).toBe(true);
  });

  test('inherits nothing of the environment', async () => {
    const command = runCommand(options(['env'], { env: { PATH: env.PATH, ONLY: 'this' } }), never);
    const names = (await collect(command.stdout))
      .toString()
      .split('\n')
      .map((line) => line.split('=')[0]);
    expect(names).toContain('ONLY');
    expect(names).not.toContain('HOME');
  });

  test('leaving the loop ends the process and all that it started, and waits for it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pgbackup-'));
    const command = runCommand(options([`sleep 600 & echo $! $$ > ${folder}/pids; cat /dev/zero`]), never);
    for await (const _chunk of command.stdout) break;
    const pids = readFileSync(join(folder, 'pids'), 'utf8').trim().split(' ').map(Number);
    expect(pids).toHaveLength(2);
    await until(() => pids.every((pid) => !isAlive(pid)));
    await expect(command.done).rejects.toMatchObject({ message: 'signal SIGTERM' });
    rmSync(folder, { recursive: true });
  });

  test('a process that ignores SIGTERM is killed after the grace', async () => {
    const command = runCommand(options(['trap "" TERM; while :; do echo x; done'], { graceMs: 50 }), never);
    for await (const _chunk of command.stdout) break;
    await expect(command.done).rejects.toMatchObject({ message: 'signal SIGKILL' });
  });

  test('an abort ends it while it says nothing', async () => {
    const controller = new AbortController();
    const folder = mkdtempSync(join(tmpdir(), 'pgbackup-'));
    const command = runCommand(
      options([`echo $$ > ${folder}/pid.new; mv ${folder}/pid.new ${folder}/pid; exec sleep 600`]),
      controller.signal,
    );
    const reading = rejection(collect(command.stdout));
    await until(() => existsSync(join(folder, 'pid')));
    controller.abort();
    expect(await reading).toMatchObject({ reason: 'Aborted' });
    expect(isAlive(Number(readFileSync(join(folder, 'pid'), 'utf8')))).toBe(false);
    rmSync(folder, { recursive: true });
  });

  test('starts nothing when it was aborted before', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pgbackup-'));
    const command = runCommand(options([`touch ${folder}/started`]), AbortSignal.abort());
    expect(await rejection(collect(command.stdout))).toMatchObject({ reason: 'Aborted' });
    expect(existsSync(join(folder, 'started'))).toBe(false);
    rmSync(folder, { recursive: true });
  });

  test('waits for its reader: output that nobody takes stays with the process', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pgbackup-'));
    const command = runCommand(
      options([`i=0; while [ $i -lt 64 ]; do head -c 1048576 /dev/zero; i=$((i+1)); echo $i > ${folder}/n; done`]),
      never,
    );
    const iterator = command.stdout[Symbol.asyncIterator]();
    await iterator.next();
    const written = () => (existsSync(join(folder, 'n')) ? Number(readFileSync(join(folder, 'n'), 'utf8')) : 0);
    await until(() => written() >= 2);
    await systemClock.sleep(200, never);
    expect(written()).toBeLessThanOrEqual(5);
    await iterator.return?.();
    rmSync(folder, { recursive: true });
  });
});

describe('runCommand with stdin', () => {
  test.each([0, 1, 5_000_000])('writes all of %i bytes', async (length) => {
    const content = sampleBytes(length);
    const command = runCommand(options(['cat'], { stdin: inPieces(content, 70_000) }), never);
    expect((await collect(command.stdout)).equals(content)).toBe(true);
    expect(await command.done).toEqual({ stdinTaken: true });
  });

  test('a failing source ends the process, which never sees an end of its input', async () => {
    const error = new Error('broken');
    const folder = mkdtempSync(join(tmpdir(), 'pgbackup-'));
    const stdin = failingAfter(sampleBytes(500_000), 300_000, 10_000, error);
    const command = runCommand(options([`cat > /dev/null && touch ${folder}/whole`], { stdin }), never);
    expect(await rejection(collect(command.stdout))).toBe(error);
    expect(existsSync(join(folder, 'whole'))).toBe(false);
    rmSync(folder, { recursive: true });
  });

  test('a process that does not read everything: its exit code counts, and the source is let go of', async () => {
    for (const [code, message] of [
      [0, undefined],
      [5, 'exit 5: full'],
    ] as const) {
      let released = false;
      const endless = (async function* () {
        try {
          for (;;) yield Buffer.alloc(100_000);
        } finally {
          released = true;
        }
      })();
      const command = runCommand(
        options([`head -c 10 > /dev/null; echo full >&2; exit ${code}`], { stdin: endless }),
        never,
      );
      const outcome = await collect(command.stdout).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (message === undefined) expect(await command.done).toEqual({ stdinTaken: false });
      else expect(outcome).toMatchObject({ message });
      await until(() => released);
    }
  });

  test('a source that hangs does not keep the end of the process from being told', async () => {
    const hanging = (async function* () {
      yield Buffer.alloc(10);
      await new Promise<void>(() => {});
    })();
    const command = runCommand(options(['head -c 10 > /dev/null; exit 6'], { stdin: hanging }), never);
    expect(await rejection(collect(command.stdout))).toMatchObject({ message: 'exit 6: ' });
  });
});
