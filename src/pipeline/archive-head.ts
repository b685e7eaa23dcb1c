/** What the first bytes of an archive of pg_dump (custom, or the toc.dat of the others) tell. */
export interface ArchiveHead {
  readonly database?: string;
  /** Of the server that was dumped. */
  readonly serverMajor?: number;
}

const magic = Buffer.from('PGDMP');
const longestText = 256;

/** Reads it as far as it is understood; undefined when it is no archive. */
export function readArchiveHead(head: Buffer): ArchiveHead | undefined {
  if (!head.subarray(0, magic.length).equals(magic)) return undefined;
  const version = (head[5] ?? 0) * 1000 + (head[6] ?? 0);
  const intBytes = head[8] ?? 0;
  if (version < 1012 || version >= 2000 || intBytes !== 4) return {};
  let at = 11;
  const readInt = (): number | undefined => {
    if (at + 5 > head.length) return undefined;
    const value = head.readUInt32LE(at + 1) * (head[at] === 0 ? 1 : -1);
    at += 5;
    return value;
  };
  const readText = (): string | undefined => {
    const length = readInt();
    if (length === undefined || length < 0 || length > longestText || at + length > head.length) return undefined;
    at += length;
    return head.toString('utf8', at - length, at);
  };
  // The algorithm of compression since 1.15, its level before.
  if (version >= 1015) at += 1;
  else readInt();
  // Seconds, minutes, hours, day, month, year, daylight saving.
  for (let field = 0; field < 7; field += 1) readInt();
  const database = readText();
  const major = /^[0-9]+/.exec(readText() ?? '')?.[0];
  return {
    ...(database === undefined ? {} : { database }),
    ...(major === undefined ? {} : { serverMajor: Number(major) }),
  };
}
