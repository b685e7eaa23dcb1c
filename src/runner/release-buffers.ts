import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Bytes } from '../pipeline/bytes.ts';

const minorEveryBytes = 8 * 1024 * 1024;
const majorEveryBytes = 128 * 1024 * 1024;

/**
 * A tap that has the buffers of chunks that went by released. They lie outside of V8's heap, and hardly anything inside of it is
 * allocated meanwhile: left alone it collects so rarely that tens of megabytes of dead buffers pile up. A minor collection of so small
 * a heap takes a millisecond or less. What lived through one is released by a major one only, which takes twenty times that.
 */
export async function* releaseBuffers(source: Bytes): AsyncGenerator<Uint8Array, void, void> {
  const collect = findCollector();
  let sinceMinor = 0;
  let sinceMajor = 0;
  for await (const chunk of source) {
    sinceMinor += chunk.length;
    sinceMajor += chunk.length;
    if (sinceMajor >= majorEveryBytes) {
      collect({ type: 'major' });
      sinceMajor = 0;
      sinceMinor = 0;
    } else if (sinceMinor >= minorEveryBytes) {
      collect({ type: 'minor' });
      sinceMinor = 0;
    }
    yield chunk;
  }
}

type Collect = (options: { readonly type: 'minor' | 'major' }) => void;

/** V8's own, without a flag on the command line; nothing where it is not to be had. */
function findCollector(): Collect {
  setFlagsFromString('--expose-gc');
  // V8 counts these buffers as its heap and guesses from how fast they come how much room to leave before the next major collection.
  // In two runs of three it guessed so little that it marked the heap without end (a fifth of all work, and nothing to be found).
  // Four times what lives is the most that it would leave by itself.
  setFlagsFromString('--heap-growing-percent=300');
  const collect: unknown = runInNewContext('typeof gc === "function" ? gc : undefined');
  return typeof collect === 'function' ? (collect as Collect) : () => {};
}
