import type { Failure } from '../api/failure.ts';
import type { Bytes } from '../pipeline/bytes.ts';

/** A longer string is none: real statements are far below. */
const maxTextBytes = 256 * 1024 * 1024;

/** More bytes are needed; the piece is read again from its beginning when they are there. */
class Short extends Error {}

/**
 * The numbers and strings of an archive's head, as pg_restore reads them. What is held is one piece (the header, an entry) and one
 * chunk. `damaged` makes the failure of an archive that cannot be right.
 */
export class TocCursor {
  /** The header says how many an integer has. */
  integerBytes = 4;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #damaged: (what: string) => Failure;
  #held: Buffer = Buffer.alloc(0);
  #offset = 0;
  /** Bytes of the pieces before the one that was read last. */
  #before = 0;

  constructor(source: Bytes, damaged: (what: string) => Failure) {
    this.#chunks = source[Symbol.asyncIterator]();
    this.#damaged = damaged;
  }

  /** Calls `parse` until there are enough bytes for it: it must only read, and return. Throws what the source throws. */
  async piece<Piece>(parse: () => Piece): Promise<Piece> {
    this.#held = this.#held.subarray(this.#offset);
    this.#before += this.#offset;
    for (;;) {
      this.#offset = 0;
      try {
        return parse();
      } catch (error) {
        this.#offset = 0;
        if (!(error instanceof Short)) throw error;
      }
      // Twice as much each time, so that a long piece is not copied and read again for each chunk.
      const wanted = Math.max(1, this.#held.length);
      const more: Uint8Array[] = [];
      let length = 0;
      while (length < wanted) {
        const next = await this.#chunks.next();
        if (next.done === true) break;
        more.push(next.value);
        length += next.value.length;
      }
      if (length === 0) throw this.#damaged('it ends within its table of contents');
      this.#held = Buffer.concat([this.#held, ...more]);
    }
  }

  /** In the bytes of the piece that is being read. */
  get position(): number {
    return this.#offset;
  }

  /** Of all pieces that were read. */
  get length(): number {
    return this.#before + this.#offset;
  }

  /** The bytes of the piece that was read last; valid until the next one is. */
  get taken(): Buffer {
    return this.#held.subarray(0, this.#offset);
  }

  /** Everything behind the pieces that were read. */
  async *rest(): AsyncGenerator<Uint8Array, void, void> {
    const held = this.#held.subarray(this.#offset);
    this.#held = Buffer.alloc(0);
    this.#offset = 0;
    if (held.length > 0) yield held;
    for (;;) {
      const next = await this.#chunks.next();
      if (next.done === true) return;
      yield next.value;
    }
  }

  /** Lets go of the source. */
  async leave(): Promise<void> {
    await this.#chunks.return?.();
  }

  take(count: number): Buffer {
    const at = this.#need(count);
    return this.#held.subarray(at, at + count);
  }

  byte(): number {
    const value = this.#held[this.#need(1)];
    return value ?? 0;
  }

  /** One byte of sign, then the value, lowest byte first. */
  integer(): number {
    const at = this.#need(1 + this.integerBytes);
    for (let high = 5; high <= this.integerBytes; high += 1) {
      if (this.#held[at + high] !== 0) throw this.#damaged('a number in it is too large');
    }
    const value = this.#held.readUInt32LE(at + 1);
    return this.#held[at] === 0 ? value : -value;
  }

  /** As `integer` reads it. */
  printInteger(value: number): Buffer {
    const bytes = Buffer.alloc(1 + this.integerBytes);
    bytes[0] = value < 0 ? 1 : 0;
    bytes.writeUInt32LE(Math.abs(value), 1);
    return bytes;
  }

  /** Undefined is NULL, which is not the empty string. */
  text(): Buffer | undefined {
    const length = this.#textLength();
    if (length < 0) return undefined;
    const text = this.take(length);
    // To pg_restore it would end there: it would see another text than we do.
    if (text.includes(0)) throw this.#damaged('a string in it has a zero byte');
    return text;
  }

  /** Passes over a text that nobody here needs. */
  skipText(): void {
    const length = this.#textLength();
    if (length > 0) this.#need(length);
  }

  #textLength(): number {
    const length = this.integer();
    if (length > maxTextBytes) throw this.#damaged('a string in it is too long');
    return length;
  }

  /** Where the next bytes are; they are taken. */
  #need(count: number): number {
    const at = this.#offset;
    if (this.#held.length - at < count) throw new Short();
    this.#offset = at + count;
    return at;
  }
}
