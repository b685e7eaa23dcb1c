import { countLines } from './sql-bytes.ts';

/** What of a script is handed on: the buffer that is being read, less what is left out. `wanted`: whether this part passes at all. */
export interface SqlPieces {
  /** A new buffer. */
  open(buffer: Buffer): void;
  /** From `at` on it is held until it is judged. */
  hold(at: number): void;
  /** What is held passes, and so does what follows. */
  pass(wanted: boolean): void;
  /** What is held is left out, up to `drop`. */
  leaveOut(wanted: boolean): void;
  /** Leaves out what was held, or left out, up to `at`; its lines stay, as empty ones. */
  drop(at: number, wanted: boolean): void;
  /** From `at` on something else may be wanted. */
  cut(at: number, wanted: boolean): void;
  isHolding(): boolean;
  isLeavingOut(): boolean;
  /** Text of what is held, up to `at`. */
  heldText(at: number): string;
  /** The buffer was read up to `at`. True: more is held than there should be. */
  close(at: number, wanted: boolean): boolean;
  /** What came together. */
  take(): readonly Uint8Array[];
}

/** Statements that have to be judged as a whole are shorter. */
const longestHeld = 256 * 1024;
const lineFeed = 0x0a;

export function collectSqlPieces(): SqlPieces {
  let buffer: Buffer = Buffer.alloc(0);
  let from = 0;
  let heldFrom = 0;
  let mode: 'pass' | 'hold' | 'leave out' = 'pass';
  /** Of earlier buffers. */
  let held: Buffer[] = [];
  let heldBytes = 0;
  let lines = 0;
  let out: Uint8Array[] = [];

  const flush = (to: number, wanted: boolean): void => {
    if (wanted && to > from) out.push(buffer.subarray(from, to));
    from = to;
  };
  const forget = (): void => {
    held = [];
    heldBytes = 0;
  };
  const leaveOut = (wanted: boolean): void => {
    flush(heldFrom, wanted);
    lines = held.reduce((sum, piece) => sum + countLines(piece, 0, piece.length), 0);
    forget();
    mode = 'leave out';
  };

  return {
    open(next) {
      buffer = next;
      from = 0;
      heldFrom = 0;
    },
    hold(at) {
      heldFrom = at;
      mode = 'hold';
    },
    pass(wanted) {
      if (held.length > 0) {
        if (wanted) out.push(...held);
        forget();
      }
      mode = 'pass';
    },
    leaveOut,
    drop(at, wanted) {
      if (mode === 'hold') leaveOut(wanted);
      lines += countLines(buffer, from, at);
      if (wanted && lines > 0) out.push(Buffer.alloc(lines, lineFeed));
      lines = 0;
      from = at;
      mode = 'pass';
    },
    cut: flush,
    isHolding: () => mode === 'hold',
    isLeavingOut: () => mode === 'leave out',
    heldText: (at) => Buffer.concat([...held, buffer.subarray(heldFrom, at)]).toString(),
    close(at, wanted) {
      if (mode === 'pass') {
        flush(at, wanted);
      } else if (mode === 'leave out') {
        lines += countLines(buffer, from, at);
      } else {
        flush(heldFrom, wanted);
        heldBytes += at - heldFrom;
        held.push(buffer.subarray(heldFrom, at));
        heldFrom = at;
      }
      from = at;
      return heldBytes > longestHeld;
    },
    take() {
      const taken = out;
      out = [];
      return taken;
    },
  };
}
