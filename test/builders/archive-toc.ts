/** An entry of a table of contents as somebody makes it up. */
export interface MadeEntry {
  readonly dumpId: number;
  readonly type: string;
  readonly name: string;
  /** 1 none, 2 before the rows, 3 rows, 4 after them. */
  readonly section: number;
  readonly hasData?: boolean;
  readonly definition?: string;
  readonly copy?: string;
  readonly schema?: string;
  readonly owner?: string;
  readonly dependencies?: readonly number[];
  /** Of a directory or tar. */
  readonly file?: string;
}

/** Archives of version 1.14, which pg_restore of 12 and all newer ones reads. */
export function printTocHead(format: 'custom' | 'directory' | 'tar', count: number): Buffer {
  return Buffer.concat([
    Buffer.from('PGDMP'),
    Buffer.from([1, 14, 0, 4, 8, format === 'custom' ? 1 : 3]),
    ...[0, 0, 0, 0, 1, 0, 125, 0].map(integer),
    ...['made_up', '15.1', '15.1'].map(text),
    integer(count),
  ]);
}

export function printTocEntry(format: 'custom' | 'directory' | 'tar', entry: MadeEntry): Buffer {
  const { dumpId, hasData = false, type, name, section, dependencies = [] } = entry;
  return Buffer.concat([
    integer(dumpId),
    integer(hasData ? 1 : 0),
    ...['0', '0', name, type].map(text),
    integer(section),
    ...[entry.definition ?? '', '', entry.copy, entry.schema, '', undefined].map(text),
    text(entry.owner ?? ''),
    text('false'),
    ...dependencies.map((id) => text(String(id))),
    text(undefined),
    format === 'custom' ? Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0]) : text(entry.file ?? ''),
  ]);
}

export function printToc(format: 'custom' | 'directory' | 'tar', entries: readonly MadeEntry[]): Buffer {
  return Buffer.concat([printTocHead(format, entries.length), ...entries.map((entry) => printTocEntry(format, entry))]);
}

function integer(value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt8(value < 0 ? 1 : 0, 0);
  bytes.writeUInt32LE(Math.abs(value), 1);
  return bytes;
}

/** Undefined is NULL. */
function text(value: string | undefined): Buffer {
  if (value === undefined) return integer(-1);
  const bytes = Buffer.from(value);
  return Buffer.concat([integer(bytes.length), bytes]);
}
