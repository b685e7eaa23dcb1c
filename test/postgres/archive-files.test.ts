import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readContents } from '../../src/postgres/read-contents.ts';
import { printToc, type MadeEntry } from '../builders/archive-toc.ts';
import { writeTar } from '../builders/tar.ts';
import { inPieces, rejection } from '../pipeline/streams.ts';

const never = new AbortController().signal;
const entry = (file: string, type = 'TABLE DATA'): MadeEntry => ({
  dumpId: 2,
  type,
  name: 't',
  section: 3,
  hasData: true,
  file,
});

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pgbackup-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** A folder with the rows `2.dat`, and others. */
async function readFolder(one: MadeEntry, files: Readonly<Record<string, string | Uint8Array>> = {}) {
  const all = { 'toc.dat': printToc('directory', [one]), '2.dat': 'honest\n', ...files };
  for (const [name, content] of Object.entries(all)) await writeFile(join(folder, name), content);
  return readContents({}, { kind: 'path', format: 'directory', path: folder }, never);
}

async function readTar(one: MadeEntry) {
  const tar = writeTar([{ name: 'toc.dat', content: printToc('tar', [one]), ofDump: true }]);
  return readContents({}, { kind: 'stream', format: 'tar', open: () => inPieces(tar, 4096) }, never);
}

test.each([
  ['rows', entry('2.dat'), {}],
  ['no rows', entry(''), {}],
  ['rows of gzip', entry('3.dat'), { '3.dat.gz': '' }],
  ['rows of zstd', entry('3.dat'), { '3.dat.zst': '' }],
  [
    'large objects',
    entry('blobs.toc', 'BLOBS'),
    { 'blobs.toc': '1 blob_1.dat\n2 blob_2.dat\n', 'blob_1.dat': '', 'blob_2.dat.lz4': '' },
  ],
  [
    'large objects in several lists',
    entry('blobs_7.toc', 'BLOBS'),
    { 'blobs_7.toc': '1 blob_1.dat\n', 'blob_1.dat': '' },
  ],
])('a folder may name its own %s', async (_what, one, files) => {
  expect((await readFolder(one, files)).entries).toHaveLength(1);
});

test('a list of large objects is read in pieces', async () => {
  const list = Array.from({ length: 20_000 }, (_, index) => `${index} blob_1.dat\n`).join('');
  const files = { 'blobs.toc': list, 'blob_1.dat': '' };
  expect((await readFolder(entry('blobs.toc', 'BLOBS'), files)).entries).toHaveLength(1);
  const failure = await rejection(
    readFolder(entry('blobs.toc', 'BLOBS'), { ...files, 'blobs.toc': `${list}1 blob_1.dat x\n` }),
  );
  expect(failure).toMatchObject({ reason: 'FileRefused' });
});

describe.each([
  ['folder', readFolder],
  ['tar', readTar],
] as const)('a %s may not take rows from', (_form, read) => {
  test.each([
    '../../../private/libpq/passfile',
    `${'../'.repeat(20)}proc/self/environ`,
    '/etc/passwd',
    '2.dat/../../2.dat',
    './2.dat',
    '.',
    '..\\2.dat',
    'toc.dat',
    'blobs.toc',
    'blob_1.dat',
    '2.dat\n',
    ' 2.dat',
    '2.DAT',
    '２.dat',
  ])('%j', async (file) => {
    expect(await rejection(read(entry(file)))).toMatchObject({ reason: 'FileRefused' });
  });

  test('a name with a zero byte, behind which pg_restore sees nothing', async () => {
    expect(await rejection(read(entry('2.dat\0x')))).toMatchObject({ reason: 'FileDamaged' });
    expect(await rejection(read(entry('2.dat', 'BLOBS\0x')))).toMatchObject({ reason: 'FileDamaged' });
  });
});

describe('a folder may not take large objects from', () => {
  const list = 'blobs.toc';
  const way = `${'../'.repeat(20)}etc/passwd`;
  test.each([
    ['a way to anywhere', list, { [list]: `4711 ${way}\n` }],
    ['a path from the root', list, { [list]: '4711 /etc/passwd\n' }],
    ['a second line', list, { [list]: `4711 blob_4711.dat\n4712 ${way}\n`, 'blob_4711.dat': 'x' }],
    ['a line without end', list, { [list]: `4711 ${'../'.repeat(100_000)}etc/passwd` }],
    ['more spaces', list, { [list]: '4711  blob_4711.dat\n', 'blob_4711.dat': 'x' }],
    ['a line that ends as on Windows', list, { [list]: '4711 blob_4711.dat\r\n', 'blob_4711.dat': 'x' }],
    ['a zero byte', list, { [list]: `4711 ${way}\0\n` }],
    ['rows', list, { [list]: '4711 2.dat\n' }],
    ['another list', list, { [list]: '4711 blobs.toc\n' }],
    ['a list that is not named', 'blobs_2.toc', { [list]: `4711 ${way}\n`, 'blobs_2.toc': '' }],
    ['a compressed list', list, { [list]: '', [`${list}.gz`]: gzipSync(`4711 ${way}\n`) }],
    ['rows read as a list', '2.dat', { '2.dat': `4711 ${way}\n` }],
  ])('%s', async (_what, file, files) => {
    expect(await rejection(readFolder(entry(file, 'BLOBS'), files))).toMatchObject({ reason: 'FileRefused' });
  });

  test('where nothing is', async () => {
    const damaged = { reason: 'FileDamaged' };
    expect(await rejection(readFolder(entry(list, 'BLOBS')))).toMatchObject(damaged);
    expect(await rejection(readFolder(entry('3.dat')))).toMatchObject(damaged);
    expect(await rejection(readFolder(entry(list, 'BLOBS'), { [list]: '1 blob_1.dat\n' }))).toMatchObject(damaged);
  });

  test('a link, or a file that pg_dump does not write', async () => {
    await symlink('/etc/passwd', join(folder, '3.dat'));
    expect(await rejection(readFolder(entry('3.dat')))).toMatchObject({ reason: 'FileRefused' });
    await rm(join(folder, '3.dat'));
    expect(await rejection(readFolder(entry('2.dat'), { other: '' }))).toMatchObject({ reason: 'FileRefused' });
  });
});
