import type { Bytes } from './storage.ts';

/** A body that is all in memory, so that it can be sent again: `storage.put(key, new WholeBytes(manifest), …)` is retried, streams are not. */
export class WholeBytes implements Bytes {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.bytes.length > 0) yield this.bytes;
  }
}
