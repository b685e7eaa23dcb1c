import type { Writable } from 'node:stream';
import type { Bytes } from './bytes.ts';

export interface Feed {
  /** To be called when the process is gone: lets go of the source, and tells whether the process got all of it. */
  leave(): boolean;
}

/**
 * Writes `source` to a process's stdin, no faster than it reads. A process that stops reading (EPIPE) is no failure here: its
 * exit code says what that meant. A failing source never looks like its end: `onFailure` must end the process, and only then
 * stdin is closed.
 */
export function feed(stdin: Writable, source: Bytes, onFailure: (error: unknown) => void): Feed {
  const chunks = source[Symbol.asyncIterator]();
  let left = false;
  let taken = false;
  let wake = (): void => {};
  const stopReading = (): void => {
    left = true;
    wake();
  };
  stdin.on('finish', () => {
    taken = true;
  });
  stdin.on('drain', () => wake());
  stdin.on('error', stopReading);
  stdin.on('close', stopReading);

  const pump = async (): Promise<void> => {
    for (;;) {
      const next = await chunks.next();
      if (next.done === true) break;
      if (left) return;
      if (stdin.write(next.value)) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (left) resolve();
      });
      if (left) {
        await chunks.return?.();
        return;
      }
    }
    stdin.end();
  };
  pump().catch(onFailure);

  return {
    leave() {
      left = true;
      wake();
      // Not waited for: a source that hangs must not keep a dead process's end from being told.
      void Promise.resolve(chunks.return?.()).catch(() => {});
      return taken;
    },
  };
}
