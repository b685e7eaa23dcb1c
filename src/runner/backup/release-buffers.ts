import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Bytes } from '../../pipeline/bytes.ts';

const everyBytes = 16 * 1024 * 1024;

/**
 * A tap that has the buffers of chunks that went by released every 16 MiB. They lie outside of V8's heap, and hardly anything inside
 * of it is allocated meanwhile: left alone it collects so rarely that tens of megabytes of dead buffers pile up. A minor collection
 * of so small a heap takes a millisecond or two; a major one would take ten times that, which is more than it gives.
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
  const collect: unknown = runInNewContext('typeof gc === "function" ? gc : undefined');
  return typeof collect === 'function' ? (collect as Collect) : () => {};
}
