import type { Writable } from 'node:stream';

/** Lines for people: a ✓ for each step with the time it took, in colours on a terminal only. */
export interface Screen {
  title(text: string): void;
  /** Runs a step; what it returns is told beside it. On a terminal it is seen while it runs. */
  step<T>(what: string, work: () => Promise<{ readonly value: T; readonly detail?: string }>): Promise<T>;
  /** Says something that holds. */
  ok(text: string): void;
  line(text?: string): void;
  dim(text: string): string;
}

const width = 92;

export function openScreen(stream: Writable & { readonly isTTY?: boolean }, noColor: boolean): Screen {
  const isTerminal = stream.isTTY === true;
  const colours = isTerminal && !noColor;
  const paint = (code: number, text: string): string => (colours ? `\u001B[${code}m${text}\u001B[0m` : text);
  const write = (text: string): void => void stream.write(text);
  const tell = (mark: string, text: string, ending: string): void => {
    write(
      `  ${mark} ${text}${ending === '' ? '' : `${' '.repeat(Math.max(1, width - text.length - ending.length - 4))}${paint(2, ending)}`}\n`,
    );
  };
  return {
    title: (text) => write(`\n${paint(1, text)}\n\n`),
    step: async (what, work) => {
      const startedMs = performance.now();
      if (isTerminal) write(`  ${paint(33, '…')} ${what}`);
      const clear = isTerminal ? '\r\u001B[2K' : '';
      try {
        const { value, detail } = await work();
        write(clear);
        tell(paint(32, '✓'), `${what}${detail === undefined ? '' : `: ${detail}`}`, seconds(startedMs));
        return value;
      } catch (error) {
        write(clear);
        tell(paint(31, '✗'), what, seconds(startedMs));
        throw error;
      }
    },
    ok: (text) => tell(paint(32, '✓'), text, ''),
    line: (text = '') => write(`${text}\n`),
    dim: (text) => paint(2, text),
  };
}

export const seconds = (sinceMs: number): string => `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 9.95e6 ? 1 : 0)} MB`;
export const grouped = (count: number): string => count.toLocaleString('en-US');
