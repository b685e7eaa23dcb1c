import { countLines } from './sql-bytes.ts';

/** What of a script is handed on: the buffer that is being read, less what is left out. */
export interface SqlPieces {
  /** A new buffer. */
  open(buffer: Buffer): void;
  /** What lies before `at` passes (if `wanted`); from there on it is held until it is judged. */
  hold(at: number, wanted: boolean): void;
  /** What is held passes (if `wanted`), and so does what follows. */
  pass(wanted: boolean): void;
  /** What lies before `at` passes, if `wanted`. */
  cut(at: number, wanted: boolean): void;
  /** What is held is left out, up to `drop`. */
  leaveOut(): void;
  /** Leaves out what was held, or left out, up to `at`; its lines stay, as empty ones. */
  drop(at: number, wanted: boolean): void;
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
  let mode: 'pass' | 'hold' | 'leave out' = 'pass';
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

  return {
    open(next) {
      buffer = next;
      from = 0;
    },
    hold(at, wanted) {
      flush(at, wanted);
      mode = 'hold';
    },
    cut: flush,
    pass(wanted) {
      if (wanted) out.push(...held);
      forget();
      mode = 'pass';
    },
    leaveOut() {
      lines += held.reduce((sum, piece) => sum + countLines(piece, 0, piece.length), 0);
      forget();
      mode = 'leave out';
    },
    drop(at, wanted) {
      lines += held.reduce((sum, piece) => sum + countLines(piece, 0, piece.length), 0);
      lines += countLines(buffer, from, at);
      if (wanted && lines > 0) out.push(Buffer.alloc(lines, lineFeed));
      forget();
      lines = 0;
      from = at;
      mode = 'pass';
    },
    isHolding: () => mode === 'hold',
    isLeavingOut: () => mode === 'leave out',
    heldText: (at) => Buffer.concat([...held, buffer.subarray(from, at)]).toString(),
    close(at, wanted) {
      if (mode === 'pass') {
        flush(at, wanted);
      } else if (mode === 'leave out') {
        lines += countLines(buffer, from, at);
      } else {
        heldBytes += at - from;
        held.push(buffer.subarray(from, at));
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
