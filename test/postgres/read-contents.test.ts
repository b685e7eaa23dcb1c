import { expect, test } from 'vitest';
import type { Archive } from '../../src/postgres/load-types.ts';
import { readContents } from '../../src/postgres/read-contents.ts';
import { inPieces, rejection } from '../pipeline/streams.ts';

const never = new AbortController().signal;
const int = (value: number) => {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt8(value < 0 ? 1 : 0);
  bytes.writeUInt32LE(Math.abs(value), 1);
  return bytes;
};
const text = (value: string | undefined, encoding: BufferEncoding = 'utf8') => {
  if (value === undefined) return int(-1);
  const bytes = Buffer.from(value, encoding);
  return Buffer.concat([int(bytes.length), bytes]);
};
/** An archive's head as pg_dump of 17 writes it. */
const head = (minor: number, count: number) =>
  Buffer.concat([
    Buffer.from('PGDMP'),
    Buffer.from([1, minor, 0, 4, 8, 1]),
    minor >= 15 ? Buffer.from([0]) : int(-1),
    ...Array.from({ length: 7 }, () => int(1)),
    text('db'),
    text('17.10 (Debian)'),
    text('17.10'),
    int(count),
  ]);
const entry = (minor: number, type: string, name: string, definition: string, encoding: BufferEncoding = 'utf8') =>
  Buffer.concat([
    Buffer.concat([int(7), int(0), text('1259'), text('16384'), text(name, encoding), text(type), int(2)]),
    Buffer.concat([text(definition), text(''), text(undefined), text('s', encoding), text(undefined)]),
    ...(minor >= 14 ? [text('heap')] : []),
    ...(minor >= 16 ? [int(0)] : []),
    Buffer.concat([text('owner'), text('false'), text('5'), text('6'), text(undefined), Buffer.alloc(9)]),
  ]);
const archive = (content: Buffer, size = 7): Archive => ({
  kind: 'stream',
  format: 'custom',
  open: () => inPieces(content, size),
});

test.each([12, 13, 14, 15, 16])('reads archives of version 1.%i, in pieces of any size', async (minor) => {
  const content = Buffer.concat([head(minor, 1), entry(minor, 'TABLE', 'a b\nc', 'CREATE')]);
  for (const size of [1, 7, 10_000]) {
    expect(await readContents({}, archive(content, size), never)).toEqual({
      archiveVersion: `1.${minor}`,
      serverVersion: '17.10',
      serverMajor: 17,
      internalOptions: false,
      createsPublic: false,
      headBytes: content.length,
      largeObjects: { before: [], rows: [], after: [] },
      entries: [
        {
          dumpId: 7,
          type: 'TABLE',
          schema: 's',
          name: 'a b\nc',
          owner: 'owner',
          dependencies: [5, 6],
          dropStatement: undefined,
          pass: 'before',
        },
      ],
    });
  }
});

test('names are in the encoding that the archive says', async () => {
  const content = Buffer.concat([
    head(16, 2),
    entry(16, 'ENCODING', 'ENCODING', `SET client_encoding = 'LATIN1';\n`),
    entry(16, 'TABLE', 'größe', '', 'latin1'),
  ]);
  expect((await readContents({}, archive(content), never)).entries[1]?.name).toBe('größe');
});

test('every cut of the head is damage', async () => {
  const content = Buffer.concat([head(16, 1), entry(16, 'TABLE', 'a', '')]);
  for (let length = 0; length < content.length; length++) {
    const failure = await rejection(
      readContents({ damaged: 'BackupDamaged' }, archive(content.subarray(0, length)), never),
    );
    expect([length, failure]).toEqual([length, expect.objectContaining({ reason: 'BackupDamaged' })]);
  }
});

test('what is no archive, too new or too old is told apart', async () => {
  const reason = async (content: Buffer) =>
    ((await rejection(readContents({}, archive(content), never))) as { reason: string }).reason;
  expect(await reason(Buffer.from('-- PostgreSQL database dump'))).toBe('FileDamaged');
  expect(await reason(head(17, 0))).toBe('ProgramMissing');
  expect(await reason(head(11, 0))).toBe('VersionUnsupported');
  expect(await reason(head(16, -5))).toBe('FileDamaged');
  expect(await reason(Buffer.concat([head(16, 1), int(7), int(0), int(0x7fffffff)]))).toBe('FileDamaged');
});

test('reads no more than the head', async () => {
  const content = Buffer.concat([head(16, 1), entry(16, 'TABLE', 'a', '')]);
  let given = 0;
  let left = false;
  const endless: Archive = {
    kind: 'stream',
    format: 'custom',
    async *open() {
      try {
        yield content;
        for (;;) {
          given += 1 << 20;
          yield Buffer.alloc(1 << 20);
        }
      } finally {
        left = true;
      }
    },
  };
  await readContents({}, endless, never);
  expect({ given, left }).toEqual({ given: 0, left: true });
});

test.each([
  ['"few" ON c.seen AS RESTRICTIVE USING (true)', true],
  ['few ON "c ""d"" "."s AS RESTRICTIVE " AS RESTRICTIVE FOR SELECT', true],
  ["few ON c.seen USING ((a = ' AS RESTRICTIVE '::text))", false],
  ['"p AS RESTRICTIVE " ON c.seen USING (true)', false],
  ['"p ON x AS RESTRICTIVE " ON c.seen FOR ALL USING (true)', false],
  // Read in one way only: with two for each quote this one would not come to its end.
  [`"${'""'.repeat(50_000)}" ON c.seen USING (true)`, false],
  [`"${'""'.repeat(50_000)}" ON "${'""'.repeat(50_000)}" AS RESTRICTIVE USING (true)`, true],
  ['"'.repeat(100_000), false],
])('sees whether a policy is restrictive: case %#', async (rest, isRestrictive) => {
  const content = Buffer.concat([head(16, 1), entry(16, 'POLICY', 'seen few', `CREATE POLICY ${rest};\n`)]);
  const { entries } = await readContents({}, archive(content, 10_000), never);
  expect(entries[0]?.restrictive === true).toBe(isRestrictive);
});
