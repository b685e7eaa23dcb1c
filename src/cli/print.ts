import type { CommandWorld } from './command-world.ts';

const ioError = 74;

/**
 * Prints what a command was asked for, and resolves with the exit code: 0 when it was written, or when nobody wants to read it any more
 * (`| head`); 74 when it was not, which is told on stderr.
 */
export async function print(
  text: string,
  { stdout, stderr }: Pick<CommandWorld, 'stdout' | 'stderr'>,
): Promise<number> {
  const error = await new Promise<Error | null | undefined>((resolve) => stdout.write(text, resolve));
  if (error === null || error === undefined || ('code' in error && error.code === 'EPIPE')) return 0;
  stderr.write(`the output cannot be written: ${error.message}\n`);
  return ioError;
}
