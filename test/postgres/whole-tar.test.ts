import { expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { wholeTar } from '../../src/postgres/whole-tar.ts';
import { collect, inPieces, rejection } from '../pipeline/streams.ts';

const damaged = (what: string) => new Failure('FileDamaged', what);
const member = (name: string, content: Buffer) => {
  const header = Buffer.alloc(512);
  header.write(name);
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
};
const tar = Buffer.concat([
  member('toc.dat', Buffer.alloc(700, 1)),
  member('1.dat', Buffer.alloc(512, 2)),
  Buffer.alloc(1024),
]);
const pass = (content: Buffer, size: number) => collect(wholeTar(inPieces(content, size), damaged));

test.each([1, 511, 512, 513, 10_000])('passes a whole archive on as it is, in pieces of %i', async (size) => {
  expect((await pass(tar, size)).equals(tar)).toBe(true);
});

test('every end within a member is damage; an end between two is left to pg_restore', async () => {
  const borders = [0, 1536, 2560, 3072];
  for (let length = 0; length < tar.length; length += 64) {
    const outcome = pass(tar.subarray(0, length), 300).then(
      () => 'whole',
      (error: unknown) => (error instanceof Failure ? error.reason : error),
    );
    expect([length, await outcome]).toEqual([
      length,
      borders.includes(length) || length > 3072 ? 'whole' : 'FileDamaged',
    ]);
  }
});

test('a header without a size is damage', async () => {
  expect(await rejection(pass(Buffer.alloc(1024, 0x41), 512))).toMatchObject({ reason: 'FileDamaged' });
});
