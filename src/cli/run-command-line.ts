import { CommanderError } from 'commander';
import { describeError } from './describe-error.ts';
import { makeProgram, type Commands } from './program.ts';
import type { CommandWorld } from './command-world.ts';

const usageError = 64;

/**
 * Runs one command line (without the names of node and script) and resolves with the exit code: 0, that of the command, 64 for a
 * command line that cannot be understood, else that of the failure, which is told on stderr. Never rejects.
 */
export async function runCommandLine(
  argv: readonly string[],
  world: CommandWorld,
  commands: Commands,
): Promise<number> {
  let exitCode = 0;
  const program = makeProgram(world, commands, (code) => (exitCode = code));
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    // It has written its own text: help, the version, or what is wrong.
    if (error instanceof CommanderError) return isHelp(error) ? 0 : usageError;
    const { lines, exitCode: failed } = describeError(error, argv.includes('--debug'));
    world.stderr.write(`${lines.join('\n')}\n`);
    return failed;
  }
}

const isHelp = ({ code }: CommanderError): boolean =>
  code === 'commander.helpDisplayed' || code === 'commander.version';
