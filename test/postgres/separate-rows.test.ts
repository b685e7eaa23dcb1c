import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { separateRows } from '../../src/postgres/separate-rows.ts';
import { collect, inPieces, rejection } from '../pipeline/streams.ts';

const damaged = (what: string): Failure => new Failure('FileDamaged', what);

function number(value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = value < 0 ? 1 : 0;
  bytes.writeUInt32LE(Math.abs(value), 1);
  return bytes;
}
const piece = (text: string): Buffer => Buffer.concat([number(text.length), Buffer.from(text)]);
const table = (id: number, rows: readonly string[]): Buffer =>
  Buffer.concat([Buffer.of(1), number(id), ...rows.map(piece), number(0)]);
const message = (text: string): Buffer => {
  const head = Buffer.from('d....');
  head.writeInt32BE(text.length + 4, 1);
  return Buffer.concat([head, Buffer.from(text)]);
};
const objects = Buffer.concat([
  Buffer.of(3),
  number(9),
  number(16_400),
  piece('one'),
  piece('more'),
  number(0),
  number(-2_000_000_000),
  piece(''.padEnd(300, 'x')),
  number(0),
  number(0),
]);

interface Taken {
  readonly id: number;
  readonly bytes: Buffer;
  readonly isWhole: boolean;
}

/** Cut in pieces of so many bytes. Who takes rows keeps a copy, and gives the memory back at once. */
async function separate(archive: Buffer, cut: number, wanted: readonly number[]) {
  const taken: Taken[] = [];
  const ends: number[] = [];
  const sink = {
    take: async (
      id: number,
      { pieces, isWhole, release }: { pieces: readonly Uint8Array[]; isWhole: boolean; release: () => void },
    ) => {
      taken.push({ id, bytes: Buffer.concat(pieces), isWhole });
      release();
    },
    endEntry: async () => void ends.push(taken.length),
  };
  const before = Buffer.from(archive);
  const passed = await collect(separateRows(inPieces(archive, cut), (id) => wanted.includes(id), sink, damaged));
  expect(archive.equals(before)).toBe(true);
  return { taken, ends, passed };
}

describe('Rows', () => {
  const first = ['1\tone\n', '2\ttwo\n', `3\t${'long'.repeat(40)}\n`, '\\.\n\n\n'];
  const second = ['\\.\n\n\n'];
  const third = ['a\n', 'half a row, ', 'and the rest of it\n', 'b\n', '\\.\n\n\n'];
  const archive = Buffer.concat([table(5, first), objects, table(6, second), table(7, third)]);
  const cuts = Array.from({ length: archive.length }, (_, index) => index + 1);

  test.each([
    ['all', [5, 6, 7]],
    ['the first', [5]],
    ['the last', [7]],
    ['none', []],
  ] as const)('of %s tables are messages, however the archive is cut, and the rest passes', async (_, wanted) => {
    const left = Buffer.concat([
      table(5, (wanted as readonly number[]).includes(5) ? [] : first),
      objects,
      table(6, (wanted as readonly number[]).includes(6) ? [] : second),
      table(7, (wanted as readonly number[]).includes(7) ? [] : third),
    ]);
    for (const cut of cuts) {
      const { taken, ends, passed } = await separate(archive, cut, wanted);
      expect(Buffer.from(passed).equals(left)).toBe(true);
      expect(ends).toHaveLength(wanted.length);
      for (const [id, rows] of [
        [5, first],
        [6, second],
        [7, third],
      ] as const) {
        const of = taken.filter((one) => one.id === id);
        const bytes = Buffer.concat(of.map((one) => one.bytes));
        const all = Buffer.concat(rows.map(message));
        expect(bytes.equals((wanted as readonly number[]).includes(id) ? all : Buffer.alloc(0))).toBe(true);
        // What may go elsewhere begins with a row.
        for (const one of of) expect(one.isWhole).toBe(one.bytes.at(-1) === 0x0a);
      }
    }
  });

  test('that are larger than what is held go in pieces, and only the last one is whole', async () => {
    const long = `${'x'.repeat(9_000_000)}\n`;
    const { taken } = await separate(table(5, [long, '\\.\n\n\n']), 1 << 20, [5]);
    expect(
      Buffer.concat(taken.map(({ bytes }) => bytes)).equals(Buffer.concat([message(long), message('\\.\n\n\n')])),
    ).toBe(true);
    expect(taken.map(({ isWhole }) => isWhole)).toEqual([false, true]);
    expect(Math.max(...taken.map(({ bytes }) => bytes.length))).toBeLessThan(6_000_000);
  });

  test.each([
    ['is cut within a row', table(5, ['1\n']).subarray(0, 12), 'it ends within a block'],
    ['is cut within a number', table(5, ['1\n']).subarray(0, 3), 'it ends within a block'],
    [
      'has a block of another type',
      Buffer.concat([table(5, ['1\n']), Buffer.of(2)]),
      'a block of it is of no known type (2)',
    ],
    [
      'has a length below zero',
      Buffer.concat([Buffer.of(1), number(5), number(-7)]),
      'a piece of it has a length below zero',
    ],
    [
      'has a length that no row has',
      Buffer.concat([Buffer.of(1), number(5), number(4_294_967_295)]),
      'a piece of it is longer than any row',
    ],
  ])('of an archive that %s end in its damage', async (_, archive_, why) => {
    for (const cut of [1, 7, 4096]) {
      expect(await rejection(separate(archive_, cut, [5]))).toEqual(damaged(why));
    }
  });
});
