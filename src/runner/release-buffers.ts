import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Bytes } from '../pipeline/bytes.ts';

const everyBytes = 8 * 1024 * 1024;

/**
 * A tap that has the buffers of chunks that went by released every 8 MiB. They lie outside of V8's heap, and hardly anything inside
 * of it is allocated meanwhile: left alone it collects so rarely that tens of megabytes of dead buffers pile up. A minor collection
 * of so small a heap takes a millisecond or less; a major one would take ten times that, which is more than it gives.
 */
export async function* releaseBuffers(source: Bytes): AsyncGenerator<Uint8Array, void, void> {
  const collect = findCollector();
  let passed = 0;
  for await (const chunk of source) {
    passed += chunk.length;
    if (passed >= everyBytes) {
      passed = 0;
      collect({ type: 'minor' });
    }
    yield chunk;
  }
}

type Collect = (options: { readonly type: 'minor' }) => void;

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
