/** Messages of PostgreSQL's protocol (version 3), as a server sends them: a letter, a length, a body. */
export const fromServer = {
  authentication: 0x52,
  key: 0x4b,
  parameter: 0x53,
  ready: 0x5a,
  error: 0x45,
  notice: 0x4e,
  notification: 0x41,
  parsed: 0x31,
  bound: 0x32,
  closed: 0x33,
  noData: 0x6e,
  columns: 0x54,
  parameters: 0x74,
  row: 0x44,
  suspended: 0x73,
  complete: 0x43,
  empty: 0x49,
  copyIn: 0x47,
  copyOut: 0x48,
  copyBoth: 0x57,
  copyRows: 0x64,
  copyDone: 0x63,
  negotiation: 0x76,
} as const;

const known: ReadonlySet<number> = new Set(Object.values(fromServer));
/** Bodies are kept up to here; what is longer, or of no interest, passes through our hands and is forgotten. */
const longestBody = 64 * 1024;
const headLength = 5;
const nothing = Buffer.alloc(0);

/**
 * Takes what a server sends apart, chunk by chunk, in memory that does not grow with it: neither a row of 1 GiB nor a billion rows do
 * harm. `isKept`: whether the body of a message of this type is wanted. Returns whether what came is the protocol at all.
 */
export function readServerMessages(
  isKept: (type: number) => boolean,
  onMessage: (type: number, body: Buffer) => void,
): (chunk: Uint8Array) => boolean {
  const head = Buffer.alloc(headLength);
  let headFilled = 0;
  let left = 0;
  let body: Buffer = nothing;
  let filled = 0;

  const end = (): void => {
    headFilled = 0;
    const whole = body.subarray(0, filled);
    body = nothing;
    onMessage(head[0] ?? 0, whole);
  };
  const begin = (): boolean => {
    const type = head[0] ?? 0;
    const length = head.readInt32BE(1);
    if (!known.has(type) || length < 4) return false;
    left = length - 4;
    filled = 0;
    body = isKept(type) ? Buffer.alloc(Math.min(left, longestBody)) : nothing;
    if (left === 0) end();
    return true;
  };

  return (chunk) => {
    let at = 0;
    while (at < chunk.length) {
      if (headFilled < headLength) {
        head[headFilled] = chunk[at] ?? 0;
        headFilled += 1;
        at += 1;
        if (headFilled === headLength && !begin()) return false;
        continue;
      }
      const taken = Math.min(left, chunk.length - at);
      const kept = Math.min(taken, body.length - filled);
      if (kept > 0) {
        body.set(chunk.subarray(at, at + kept), filled);
        filled += kept;
      }
      at += taken;
      left -= taken;
      if (left === 0) end();
    }
    return true;
  };
}

/** Texts that end with a zero byte. */
export function readTexts(body: Uint8Array): readonly Buffer[] {
  const texts: Buffer[] = [];
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  for (let at = 0; at < bytes.length;) {
    const zero = bytes.indexOf(0, at);
    const end = zero === -1 ? bytes.length : zero;
    texts.push(bytes.subarray(at, end));
    at = end + 1;
  }
  return texts;
}

/** Columns of a row, as text; what was cut off is undefined. */
export function readRow(body: Buffer): readonly (Buffer | undefined)[] {
  if (body.length < 2) return [];
  const columns: (Buffer | undefined)[] = [];
  let at = 2;
  for (let count = body.readInt16BE(0); count > 0 && at + 4 <= body.length; count -= 1) {
    const length = body.readInt32BE(at);
    at += 4;
    columns.push(length < 0 || at + length > body.length ? undefined : body.subarray(at, at + length));
    at += Math.max(length, 0);
  }
  return columns;
}
