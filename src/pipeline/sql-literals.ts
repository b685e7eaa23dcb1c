/** Looks for the end of something that may lie in many buffers. */
export interface LiteralEnd {
  /** To be called behind its first mark. */
  start(): void;
  /** The offset behind its last mark, or -1 when that is not in the buffer from `at` on. */
  findEnd(buffer: Uint8Array, at: number): number;
}

/** E'…': a backslash takes the next byte with it. (`''` is an end and a new beginning.) */
export function trackEscapeString(): LiteralEnd {
  let escaped = false;
  return {
    start() {
      escaped = false;
    },
    findEnd(buffer, start) {
      let at = start;
      if (escaped && at < buffer.length) {
        at += 1;
        escaped = false;
      }
      for (; at < buffer.length; at += 1) {
        const byte = buffer[at];
        if (byte === 0x27) return at + 1;
        if (byte !== 0x5c) continue;
        at += 1;
        escaped = at === buffer.length;
      }
      return -1;
    },
  };
}

/** Comments nest. */
export function trackBlockComment(): LiteralEnd {
  let depth = 0;
  let before = 0;
  return {
    start() {
      depth = 1;
      before = 0;
    },
    findEnd(buffer, start) {
      for (let at = start; at < buffer.length; at += 1) {
        const byte = buffer[at] ?? 0;
        const opens = before === 0x2f && byte === 0x2a;
        const closes = before === 0x2a && byte === 0x2f;
        before = opens || closes ? 0 : byte;
        if (opens) depth += 1;
        if (!closes) continue;
        depth -= 1;
        if (depth === 0) return at + 1;
      }
      return -1;
    },
  };
}
