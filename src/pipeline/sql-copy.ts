export interface CopyRows {
  /** To be called where rows begin: at the start of a line. */
  start(): void;
  /** The offset behind the line `\.` that ends them, or -1 when it is not in the buffer from `at` on. */
  findEnd(buffer: Buffer, at: number): number;
  /** At the end of everything: whether only the line end behind `\.` is missing. */
  endsWithoutLineFeed(): boolean;
}

const inside = 0;
const atStart = 1;
const behindBackslash = 2;
const behindDot = 3;
const behindReturn = 4;
const endMark = Buffer.from('\n\\.');

/** Finds the end of COPY's rows as psql does: a line of just `\.`, whatever the format. */
export function trackCopyRows(): CopyRows {
  let place = atStart;

  const next = (byte: number | undefined): number => {
    if (byte === 0x0a) return atStart;
    if (place === atStart && byte === 0x5c) return behindBackslash;
    if (place === behindBackslash && byte === 0x2e) return behindDot;
    if (place === behindDot && byte === 0x0d) return behindReturn;
    return inside;
  };

  return {
    start() {
      place = atStart;
    },
    findEnd(buffer, from) {
      const end = buffer.length;
      let at = from;
      while (at < end) {
        if (place === inside) {
          const found = buffer.indexOf(endMark, at);
          if (found !== -1) {
            place = behindDot;
            at = found + endMark.length;
            continue;
          }
          if (buffer[end - 1] === 0x0a) place = atStart;
          else if (end - 2 >= at && buffer[end - 2] === 0x0a && buffer[end - 1] === 0x5c) place = behindBackslash;
          return -1;
        }
        const byte = buffer[at];
        if (byte === 0x0a && place >= behindDot) return at + 1;
        place = next(byte);
        at += 1;
      }
      return -1;
    },
    endsWithoutLineFeed: () => place >= behindDot,
  };
}
