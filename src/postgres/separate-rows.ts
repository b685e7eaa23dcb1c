import type { Failure } from '../api/failure.ts';
import { chunkBytes, type Bytes } from '../pipeline/bytes.ts';
import { freeBytes } from '../pipeline/free-bytes.ts';

export interface RowPieces {
  readonly pieces: readonly Uint8Array[];
  /** The last one ends with the end of a row: what follows may go elsewhere. */
  readonly isWhole: boolean;
  /** To be called when nobody looks at the pieces any more: their memory is given back. */
  readonly release: () => void;
}

/** Where rows go that are taken out of an archive. */
export interface RowSink {
  /**
   * Messages of the protocol with rows of an entry (CopyData). Resolves when there is room for more; what it throws ends the separation.
   */
  take(dumpId: number, rows: RowPieces): Promise<void>;
  /** There are no more of that entry. */
  endEntry(): Promise<void>;
}

const [dataBlock, blobBlock] = [1, 3];
/** Sign and value of a number of four bytes; the head of a message is as long. */
const numberBytes = 5;
const copyData = 0x64;
const lineFeed = 0x0a;
/** So much of one row is held before it is passed on in pieces. */
const heldBytes = 4 * 1024 * 1024;

/** Of a chunk, with how many still look at it. */
interface Copy {
  readonly whole: Buffer;
  readonly bytes: Buffer;
  users: number;
}

type Part = 'type' | 'id' | 'object' | 'length' | 'body';

/**
 * Takes rows out of what follows the table of contents of an uncompressed custom-format archive with numbers of four bytes
 * ([pg_backup_custom.c](https://github.com/postgres/postgres/blob/master/src/bin/pg_dump/pg_backup_custom.c)): blocks of a type, an id
 * and pieces with their lengths, of which an empty one is the last. A number is as long as the head of a message of the protocol, and is
 * made one where it stands, in a copy of the chunk. Passes everything else on, what was taken as an empty block. To be the last reader of
 * `source`: what was copied is freed.
 * @throws what `source` and `sink` throw, or what `damaged` makes
 */
export async function* separateRows(
  source: Bytes,
  isTaken: (dumpId: number) => boolean,
  sink: RowSink,
  damaged: (what: string) => Failure,
): AsyncGenerator<Uint8Array, void, void> {
  let part: Part = 'type';
  let type = 0;
  let dumpId = 0;
  let taken = false;
  /** Of the body that is being read. */
  let left = 0;
  const number = Buffer.alloc(numberBytes);
  let numberFilled = 0;
  /** Of rows that are not yet at the end of one. */
  let held: Uint8Array[] = [];
  let heldLength = 0;
  let copies: Copy[] = [];
  const all = openCopies();

  for await (const chunk of source) {
    const copy = all.of(chunk);
    const { bytes } = copy;
    freeBytes(chunk);
    /** What is passed on begins here, or what is taken. */
    let from = 0;
    /** Behind the last row that is whole. */
    let whole = -1;
    let at = 0;
    const passed: Uint8Array[] = [];
    const pass = (to: number): void => {
      if (to > from) {
        copy.users += 1;
        passed.push(bytes.subarray(from, to));
      }
      from = to;
    };
    const hold = (to: number): void => {
      if (to > from) {
        held.push(bytes.subarray(from, to));
        heldLength += to - from;
        copy.users += 1;
        copies.push(copy);
      }
      from = to;
    };
    const give = async (isWhole: boolean): Promise<void> => {
      const [pieces, of] = [held, copies];
      [held, heldLength, copies] = [[], 0, []];
      if (pieces.length > 0) await sink.take(dumpId, { pieces, isWhole, release: () => of.forEach(all.leave) });
    };

    while (at < bytes.length) {
      if (part === 'body') {
        const step = Math.min(left, bytes.length - at);
        at += step;
        left -= step;
        if (left > 0) break;
        part = 'length';
        if (taken && bytes[at - 1] === lineFeed) whole = at;
        continue;
      }
      if (part === 'type') {
        type = bytes[at] ?? 0;
        at += 1;
        if (type !== dataBlock && type !== blobBlock) throw damaged(`a block of it is of no known type (${type})`);
        part = 'id';
        continue;
      }
      // A number: where it is cut by the end of the chunk it is put together.
      const isCut = numberFilled > 0 || bytes.length - at < numberBytes;
      if (isCut) {
        if (taken && numberFilled === 0) hold(at);
        const step = Math.min(numberBytes - numberFilled, bytes.length - at);
        number.set(bytes.subarray(at, at + step), numberFilled);
        numberFilled += step;
        at += step;
        // Of what is taken it is passed on by itself.
        if (taken) from = at;
        if (numberFilled < numberBytes) break;
        numberFilled = 0;
      } else at += numberBytes;
      const [of, start] = isCut ? [number, 0] : [bytes, at - numberBytes];
      const value = of.readUInt32LE(start + 1);
      if (part === 'id') {
        dumpId = value;
        taken = type === dataBlock && isTaken(dumpId);
        part = type === blobBlock ? 'object' : 'length';
        if (taken) pass(at);
      } else if (part === 'object') {
        part = value === 0 ? 'type' : 'length';
      } else if (value === 0) {
        if (taken) {
          if (!isCut) hold(at - numberBytes);
          await give(true);
          await sink.endEntry();
          from = at;
          passed.push(Buffer.alloc(numberBytes));
          taken = false;
        }
        part = type === blobBlock ? 'object' : 'type';
      } else {
        if (of[start] !== 0) throw damaged('a piece of it has a length below zero');
        left = value;
        part = 'body';
        if (taken) {
          if (value > 0x7fff_fffb) throw damaged('a piece of it is longer than any row');
          of[start] = copyData;
          of.writeInt32BE(value + 4, start + 1);
          if (isCut) {
            held.push(Buffer.from(number));
            heldLength += numberBytes;
          }
        }
      }
    }
    if (taken) {
      if (whole > from) {
        hold(whole);
        await give(true);
      }
      hold(bytes.length);
      if (heldLength > heldBytes) await give(false);
    } else pass(bytes.length);
    all.leave(copy);
    yield* passed;
  }
  all.free();
  if (part !== 'type') throw damaged('it ends within a block');
}

/** Copies that nobody looks at any more are written over: memory that is new each time costs the system more than the copying. */
function openCopies() {
  const spare: Buffer[] = [];
  return {
    of: (chunk: Uint8Array): Copy => {
      const fits = chunk.length <= chunkBytes;
      const whole = (fits ? spare.pop() : undefined) ?? Buffer.allocUnsafeSlow(Math.max(chunk.length, chunkBytes));
      whole.set(chunk);
      return { whole, bytes: whole.subarray(0, chunk.length), users: 1 };
    },
    /** Whoever reads what was passed on does not say when it has done so: such a copy is left to the garbage collector. */
    leave: (copy: Copy): void => {
      copy.users -= 1;
      if (copy.users === 0 && copy.whole.length === chunkBytes) spare.push(copy.whole);
    },
    free: () => spare.splice(0).forEach(freeBytes),
  };
}
