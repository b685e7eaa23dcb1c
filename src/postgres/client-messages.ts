/** Messages of PostgreSQL's protocol (version 3), as we send them. Statements and rows are bytes: nothing of them is decoded. */

function message(type: string, body: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + body.length);
  bytes.write(type, 0, 'latin1');
  bytes.writeInt32BE(4 + body.length, 1);
  bytes.set(body, 5);
  return bytes;
}

/** Of an unnamed statement, of unnamed parameters: its head, to be followed by the text and `parseEnd`. */
function parseHead(bytes: number): Buffer {
  const head = Buffer.alloc(6);
  head.write('P', 0, 'latin1');
  head.writeInt32BE(4 + 1 + bytes + 3, 1);
  return head;
}
const parseEnd = Buffer.alloc(3);
const bind = message('B', Buffer.alloc(2 + 2 + 2 + 2));
const execute = message('E', Buffer.alloc(1 + 4));

export const sync = message('S', Buffer.alloc(0));
export const flush = message('H', Buffer.alloc(0));
export const copyDone = message('c', Buffer.alloc(0));
export const terminate = message('X', Buffer.alloc(0));

export function copyFail(why: string): Buffer {
  return message('f', Buffer.from(`${why}\0`));
}

/** The head of a piece of rows. */
export function copyHead(bytes: number): Buffer {
  const head = Buffer.alloc(5);
  head.write('d', 0, 'latin1');
  head.writeInt32BE(4 + bytes, 1);
  return head;
}

/** Parses, binds and executes one statement: the server refuses several in one. */
export function runStatement(text: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  return [parseHead(bytes), ...text, parseEnd, bind, execute];
}
