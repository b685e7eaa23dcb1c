import { Failure } from '../api/failure.ts';
import type { Bytes } from './bytes.ts';
import { readTarHeader, tarBlock } from './tar-header.ts';

/** Passes a tar on as it is. @throws Failure FileDamaged when a header is none, or its end is missing */
export async function* checkTar(source: Bytes): AsyncGenerator<Uint8Array, void, void> {
  let header: Buffer = Buffer.alloc(0);
  let toSkip = 0;
  let ended = false;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length && !ended;) {
      const skipped = Math.min(toSkip, chunk.length - at);
      toSkip -= skipped;
      at += skipped;
      const piece = chunk.subarray(at, at + tarBlock - header.length);
      at += piece.length;
      header = Buffer.concat([header, piece]);
      if (header.length < tarBlock) continue;
      if (header.every((byte) => byte === 0)) ended = true;
      else toSkip = Math.ceil(readTarHeader(header).bytes / tarBlock) * tarBlock;
      header = Buffer.alloc(0);
    }
    yield chunk;
  }
  if (!ended) throw new Failure('FileDamaged', 'the tar is cut short');
}
