import { mkdir, mkdtemp, open as openFile, rename, rm, symlink, unlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { openFileSource } from '../../src/runner/restore/source/file-source.ts';
import { openDirectory } from '../../src/storage/directory.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { systemRandom } from '../../src/support/clock.ts';
import { changeStorage } from '../builders/change-storage.ts';
import { writeTar } from '../builders/tar.ts';
import { writeZip } from '../builders/zip.ts';
import { collect, inPieces, rejection } from '../pipeline/streams.ts';
import { listTree, makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { fileWanted } from './file-stand.ts';
import { workshopOf } from './workshop-of.ts';

const never = new AbortController().signal;
const sql = 'SELECT 1;\n';
const contents = Buffer.concat([Buffer.from('PGDMP\x01\x0e\x00\x04\x08\x03', 'latin1'), Buffer.alloc(200)]);
let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
let storage: Storage;

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  storage = openDirectory({ path: folder.path }, { random: systemRandom });
});
afterAll(() => folder.remove());

const put = (name: string, content: Uint8Array | string) => writeFile(join(folder.path, name), content);
const open = (key: string, member?: string) =>
  openFileSource(fileWanted({ key, ...(member === undefined ? {} : { member }) }), workshopOf({ files: storage }));
const readAll = async (key: string, member?: string): Promise<string> => {
  const source = await open(key, member);
  return (await collect(source.inputs[0]?.input.open(never) ?? inPieces(Buffer.alloc(0), 1))).toString();
};
const failureOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await rejection(work);
  if (!(error instanceof Failure)) throw error;
  return `${error.reason}: ${error.message}`;
};

describe('A file is what its content says', () => {
  it.each([
    ['plain', sql],
    ['gzip', gzipSync(sql)],
    ['several gzip members', Buffer.concat([gzipSync('SELECT '), gzipSync('1;\n')])],
    ['zstd', zstdCompressSync(sql)],
    [
      'zstd behind a frame to skip',
      Buffer.concat([Buffer.from('502a4d180400000001020304', 'hex'), zstdCompressSync(sql)]),
    ],
    ['ZIP', writeZip([{ name: 'a.sql', content: sql }])],
    [
      'ZIP with litter',
      writeZip([
        { name: '__MACOSX/._a', content: 'x' },
        { name: 'd/', content: '', method: 0 },
        { name: 'd/a', content: sql },
      ]),
    ],
    ['gzip in ZIP', writeZip([{ name: 'a', content: gzipSync(sql) }])],
    [
      'zstd in ZIP, as a method',
      writeZip([
        { name: 'a', content: zstdCompressSync(sql), method: 93, toldBytes: sql.length, toldCrc: 0x9f4c_0000 },
      ]),
    ],
    [
      'tar',
      writeTar([
        { name: './', type: '5' },
        { name: './a', content: sql },
      ]),
    ],
    [
      'gzip around tar',
      gzipSync(
        writeTar([
          { name: 'a', content: sql },
          { name: 'a.sha256', content: '0123  a' },
        ]),
      ),
    ],
  ])('%s', async (name, content) => {
    await put('file', content);

    if (name.includes('as a method')) expect(await failureOf(readAll('file'))).toContain('another size or checksum');
    else expect(await readAll('file')).toBe(sql);
  });

  it('text with a mark, which the reader of scripts leaves out', async () => {
    await put('file', `\u{feff}${sql}`);
    expect(await readAll('file')).toBe(`\u{feff}${sql}`);
  });

  it.each([
    ['bzip2', 'BZh91AY', 'FileUnknown: file is compressed with bzip2'],
    ['xz', '\xfd7zXZ\0', 'compressed with xz'],
    ['7-Zip', '7z\xbc\xaf\x27\x1c', 'compressed with 7-Zip'],
    ['age', 'age-encryption.org/v1\n', 'FileEncrypted: file is encrypted with age'],
    ['openssl', 'Salted__12345678', 'FileEncrypted: file is encrypted with openssl'],
    ['gpg', '\x85\x02\x0c\x03abcdefgh', 'FileEncrypted: file is encrypted with gpg'],
    ['gpg with a passphrase', '\x8c\x0d\x04\x09\x03\x02', 'FileEncrypted: file is encrypted with gpg'],
    ['our own', '\x02\x04\x78\0\0', 'FileEncrypted: file is an encrypted artifact of a backup of ours'],
    ['UTF-16', '\xff\xfeS\0E\0', 'FileUnknown: file is a text in UTF-16'],
    ['UTF-16 without a mark', 'S\0E\0L\0', 'FileUnknown: file is a text in UTF-16'],
    ['MySQL', '-- MySQL dump 10.13\n', 'a dump of MySQL'],
    ['a page', '<!DOCTYPE html>', 'a web page'],
    ['prose', 'Dear all, selecting this file was wrong', 'a text that does not begin as SQL'],
    ['noise', '\x01\x02\0\x7f', 'FileUnknown'],
    ['nothing', '', 'FileIncomplete: file is empty'],
  ])('%s is refused', async (_name, content, message) => {
    await put('file', Buffer.from(content, 'latin1'));

    expect(await failureOf(open('file'))).toContain(message);
  });

  it.each([
    ['gzip', gzipSync(sql.repeat(100)), 'FileDamaged'],
    ['zstd', zstdCompressSync(sql.repeat(100)), 'FileDamaged'],
    ['ZIP', writeZip([{ name: 'a', content: sql.repeat(100) }]), 'FileDamaged'],
    ['tar', writeTar([{ name: 'a', content: sql.repeat(100) }]), 'FileDamaged: the tar is cut short'],
  ])('%s that is cut anywhere is damaged', async (_name, content, message) => {
    for (let length = 600; length > 20; length -= 41) {
      await put('file', content.subarray(0, Math.min(content.length - 4, length)));
      const failure = await failureOf(readAll('file'));
      expect(failure, String(length)).toMatch(
        length < 512 && message.includes('tar') ? /^File(Damaged|Unknown)/ : new RegExp(`^${message}`),
      );
    }
  });

  it('packed too often is refused', async () => {
    await put('file', gzipSync(gzipSync(gzipSync(sql))));
    expect(await failureOf(open('file'))).toContain('packed more than 2 times');
    await put('file', gzipSync(writeZip([{ name: 'a', content: sql }])));
    expect(await failureOf(open('file'))).toContain('a ZIP inside of another archive');
  });
});

describe('Members', () => {
  it('are asked for when there are several, and chosen by pattern', async () => {
    await put(
      'file',
      writeZip([
        { name: 'x/a.sql', content: sql },
        { name: 'b.sql', content: 'SELECT 2;\n' },
      ]),
    );

    expect(await failureOf(open('file'))).toBe(
      'FileAmbiguous: file holds several files that could be meant: x/a.sql, b.sql',
    );
    expect(await readAll('file', '**/a.sql')).toBe(sql);
    expect((await open('file', 'b*')).chosen.member).toBe('b.sql');
    expect(await failureOf(open('file', '*.dump'))).toContain(
      'FileMissing: no file in file matches *.dump; it holds x/a.sql, b.sql',
    );
  });

  it.each(['../a', '/a', 'a/../../b', 'C:/a', '..\\a', 'a\\..\\..\\b', '\\a', 'C:\\a'])(
    'called %s are refused',
    async (name) => {
      await put('file', writeZip([{ name, content: sql }]));
      expect(await failureOf(open('file'))).toContain('FileRefused: a member’s name leads outside');
      await put('file', writeTar([{ name, content: sql }]));
      expect(await failureOf(open('file'))).toContain('FileRefused: a member’s name leads outside');
    },
  );

  it('of ZIPs made on Windows lie in folders, too', async () => {
    await put(
      'file',
      writeZip([
        { name: 'dumps\\', content: '' },
        { name: 'dumps\\a.sql', content: sql },
      ]),
    );
    expect((await open('file')).chosen.member).toBe('dumps/a.sql');
    expect(await readAll('file', 'dumps/*.sql')).toBe(sql);
    await put(
      'file',
      writeZip([
        { name: 'a\\b', content: sql },
        { name: 'a/b', content: sql },
      ]),
    );
    expect(await failureOf(open('file'))).toBe('FileRefused: two members have the same name: a/b');
    await put('file', writeTar([{ name: 'a\\b', content: sql }]));
    expect(await failureOf(open('file'))).toContain('FileRefused: a member’s name leads outside');
  });

  it('of ZIPs of macOS above 4 GiB are named, with what to do', async () => {
    const over = 2 ** 32 + 100;
    const path = join(folder.path, 'mac.zip');
    const whole = writeZip([{ name: 'a.sql', content: sql, flags: 8 }]);
    const start = whole.indexOf('PK\x01\x02', 0, 'latin1');
    const directory = whole.subarray(start);
    const file = await openFile(path, 'w');
    try {
      await file.write(whole.subarray(0, start), 0, start, 0);
      directory.writeUInt32LE((start + over) % 2 ** 32, directory.length - 6);
      await file.write(directory, 0, directory.length, start + over);
    } finally {
      await file.close();
    }
    const cut = await rejection(open('mac.zip'));
    expect(cut).toMatchObject({ reason: 'FileDamaged', hint: expect.stringContaining('zip -r') as string });
    await rm(path);

    await put('file', writeZip([{ name: 'a.sql', content: sql, flags: 8, toldBytes: 3 }]));
    const larger = await rejection(readAll('file'));
    expect(larger).toMatchObject({ reason: 'FileRefused', hint: expect.stringContaining('zip -r') as string });
  });

  it.each([
    ['encrypted', [{ name: 'a', content: sql, flags: 1 }], 'FileEncrypted'],
    [
      'encrypted, several',
      [
        { name: 'a', content: sql, flags: 1 },
        { name: 'b', content: sql, flags: 1 },
      ],
      'FileEncrypted',
    ],
    ['larger than told', [{ name: 'a', content: sql, toldBytes: 3 }], 'FileRefused'],
    ['smaller than told', [{ name: 'a', content: sql, toldBytes: 300 }], 'FileDamaged'],
    ['of another checksum', [{ name: 'a', content: sql, toldCrc: 1 }], 'FileDamaged'],
    [
      'lying in each other',
      [
        { name: 'a', content: sql },
        { name: 'b', content: sql, sharesWith: 0 },
      ],
      'FileRefused: members of the ZIP share bytes',
    ],
    ['of an unknown method', [{ name: 'a', content: sql, method: 12 }], 'FileUnknown'],
    [
      'of the same name',
      [
        { name: 'a', content: sql },
        { name: './a', content: sql },
      ],
      'FileRefused: two members',
    ],
  ])('of a ZIP that are %s are refused', async (_what, entries, message) => {
    await put('file', writeZip(entries));

    expect(await failureOf(readAll('file'))).toContain(message);
  });
});

describe('A dumped folder', () => {
  const members = [
    { name: 'd/toc.dat', content: contents },
    { name: 'd/1.dat.gz', content: 'one' },
    { name: 'd/blob_16.dat', content: 'two' },
    { name: 'd/evil.sh', content: 'three' },
    { name: 'e/2.dat', content: 'elsewhere' },
  ];

  it.each([
    ['ZIP', () => writeZip(members.slice(0, 4))],
    ['tar', () => writeTar(members.slice(0, 4))],
    ['compressed tar', () => zstdCompressSync(writeTar(members.slice(0, 4)))],
  ])('in a %s is unpacked, with the names of pg_dump only', async (name, make) => {
    await put('file', make());
    const source = await open('file', 'd');
    const scratch = join(folder.path, `scratch-${name}`);

    const path = await source.inputs[0]?.input.unpack?.(scratch, never);

    expect(source.chosen).toMatchObject({ format: 'Directory', member: 'd' });
    expect(path).toBe(join(scratch, 'archive'));
    expect((await listTree(scratch)).map((entry) => entry.slice(scratch.length + 1))).toEqual([
      'archive/',
      'archive/1.dat.gz',
      'archive/blob_16.dat',
      'archive/toc.dat',
    ]);
  });

  it('is the one that is meant beside files that cannot be restored', async () => {
    await put('file', writeZip(members));

    expect((await open('file')).chosen.format).toBe('Directory');
  });

  it('whose files are links is refused', async () => {
    await put('file', writeTar([...members.slice(0, 2), { name: 'd/3.dat', type: '2' }]));

    expect(await failureOf(open('file', 'd'))).toContain('FileRefused: d/3.dat is a link');
  });

  it('that is damaged leaves nothing behind', async () => {
    await put('file', writeZip([...members.slice(0, 2), { name: 'd/4.dat', content: 'x', toldCrc: 1 }]));
    const source = await open('file');
    const scratch = join(folder.path, 'scratch-damaged');

    expect(await failureOf(Promise.resolve(source.inputs[0]?.input.unpack?.(scratch, never)))).toContain('FileDamaged');
    expect(await listTree(scratch)).toEqual([]);
  });
});

describe('A small file', () => {
  it('that unpacks to gigabytes is refused', async () => {
    const frame = zstdCompressSync(Buffer.alloc(64 * 1024 * 1024));
    await put('file', Buffer.concat([zstdCompressSync(contents), ...Array.from({ length: 17 }, () => frame)]));

    expect(await failureOf(readAll('file'))).toContain('FileRefused: file unpacks to more than 1073741824 bytes');
  });
});

describe('zstd with a window of 2 GiB', () => {
  it('is refused', async () => {
    // A frame whose header says so: no single segment, window 2^31.
    await put('file', Buffer.from('28b52ffd0488', 'hex').fill(0xa8, 5));

    expect(await failureOf(open('file'))).toContain('FileRefused: the zstd data wants more than 128 MiB');
  });
});

describe('Choosing', () => {
  it('takes the newest that matches, then the last by name', async () => {
    for (const [name, seconds] of [
      ['n-1.sql', 1000],
      ['n-2.sql', 2000],
      ['n-3.sql', 2000],
      ['n-9.txt', 9000],
    ] as const) {
      await put(name, sql);
      await utimes(join(folder.path, name), seconds, seconds);
    }
    const { chosen } = await openFileSource(fileWanted({ pattern: 'n-*.{sql,dump}' }), workshopOf({ files: storage }));

    expect(chosen).toEqual({
      location: 'files',
      key: 'n-3.sql',
      bytes: sql.length,
      modifiedAt: '1970-01-01T00:33:20.000Z',
      format: 'Sql',
    });
  });

  it('names what there is when nothing matches', async () => {
    const failure = await failureOf(openFileSource(fileWanted({ pattern: 'x/*.zip' }), workshopOf({ files: storage })));
    expect(failure).toMatch(
      /^FileMissing: no file matches x\/\*\.zip in file:.*; there are \d+ files, newest: [^,]+(, [^,]+){4}$/,
    );
    expect(await failureOf(open('nowhere'))).toContain('FileMissing: there is no file nowhere');
  });

  it('takes nothing that runs of another namespace stored, and names none of it, unless it is asked to', async () => {
    const own = await mkdtemp(join(folder.path, 'shared-'));
    const shared = openDirectory({ path: own }, { random: systemRandom });
    const of = (file: { key?: string; pattern?: string; foreign?: boolean }) =>
      openFileSource(fileWanted(file), workshopOf({ files: shared })).then(({ chosen }) => chosen.key);
    const theirs = 'other/nightly/n-1/a1b2c3d4/secret.dump';
    const shouted = 'OTHER/nightly/n-1/A1B2C3D4/Secret.dump';
    const ours = 'test/nightly/n-1/a1b2c3d4/app.dump';
    for (const [key, seconds] of [
      ['dumps/a.dump', 1000],
      [ours, 2000],
      [theirs, 3000],
      [shouted, 4000],
      ['.pgbackup-probe-6d126265/87db4cf8/full', 5000],
    ] as const) {
      await mkdir(join(own, dirname(key)), { recursive: true });
      await writeFile(join(own, key), sql);
      await utimes(join(own, key), seconds, seconds);
    }
    for (const key of [theirs, shouted, 'other/nightly/n-1/manifest.json', 'other/n/n/a1b2c3d4/globals.sql.zst']) {
      expect(await failureOf(of({ key }))).toBe(
        `FileRefused: ${key} is what a run of another namespace than test stored`,
      );
    }
    expect(await of({ pattern: '**' })).toBe(ours);
    expect(await of({ key: 'dumps/a.dump' })).toBe('dumps/a.dump');
    const missing = await failureOf(of({ pattern: 'other/**' }));
    expect(missing).toContain('FileMissing: no file matches other/**');
    expect(missing).toMatch(/there are 2 files, newest: dumps\/a\.dump, test\/\S+$/);
    expect(await of({ pattern: 'o*/**', foreign: true })).toBe(theirs);
    expect(await of({ key: theirs, foreign: true })).toBe(theirs);
    await shared.close();
  });

  it('follows links, but not to what runs of another namespace stored, and stays with what a link showed first', async () => {
    const own = await mkdtemp(join(folder.path, 'linked-'));
    const place = openDirectory({ path: own }, { random: systemRandom });
    const open = (file: { key?: string; pattern?: string; foreign?: boolean }) =>
      openFileSource(fileWanted(file), workshopOf({ files: place }));
    const theirs = 'other/nightly/n-1/a1b2c3d4/secret.dump';
    await mkdir(join(own, dirname(theirs)), { recursive: true });
    for (const [key, seconds] of [
      ['one.sql', 1000],
      ['two.sql', 2000],
      [theirs, 3000],
    ] as const) {
      await writeFile(join(own, key), key === 'two.sql' ? 'SELECT 2;\n' : sql);
      await utimes(join(own, key), seconds, seconds);
    }
    await symlink('two.sql', join(own, 'latest.sql'));
    await symlink(theirs, join(own, 'mine.sql'));
    await symlink('other', join(own, 'shared'));
    const refused = (key: string) => `FileRefused: ${key} is what a run of another namespace than test stored`;
    for (const key of ['mine.sql', 'shared/nightly/n-1/a1b2c3d4/secret.dump']) {
      expect(await failureOf(open({ key }))).toBe(refused(key));
      expect((await open({ key, foreign: true })).chosen.key).toBe(key);
    }
    expect((await open({ pattern: '{mine,one}.sql' })).chosen.key).toBe('one.sql');
    const source = await open({ pattern: 'latest*' });
    await unlink(join(own, 'latest.sql'));
    await symlink('one.sql', join(own, 'latest.sql'));
    const bytes = await collect(source.inputs[0]?.input.open(never) ?? inPieces(Buffer.alloc(0), 1));
    expect(bytes.toString()).toBe('SELECT 2;\n');
    await symlink('/etc', join(own, 'etc'));
    expect((await open({ pattern: '*.sql' })).notes).toEqual([]);
    expect((await open({ pattern: '**.sql' })).notes).toEqual([expect.stringMatching(/^etc may not be read/)]);
    await place.close();
  });

  it('finds the one that was restored last unchanged, until it changes', async () => {
    await put('same', sql);
    const first = await open('same');
    const again = () =>
      openFileSource(fileWanted({ key: 'same' }, { unlessRestored: first.chosen }), workshopOf({ files: storage }));

    expect(await again()).toMatchObject({ unchanged: true, inputs: [] });
    await utimes(join(folder.path, 'same'), 5, 5);
    expect(await again()).toMatchObject({ unchanged: false });
  });

  it('waits until the place answers, and says so', async () => {
    await put('late', sql);
    let failures = 24;
    const late = failing(() => (failures -= 1) >= 0);
    const workshop = workshopOf({ files: late }, { clock: jumpingClock() });
    const source = await openFileSource(fileWanted({ key: 'late' }, { waitForServerSeconds: 180 }), workshop);

    expect(source.chosen.key).toBe('late');
    expect(workshop.written().match(/WaitingForStorage/g)?.length).toBeGreaterThanOrEqual(24);
  });

  it('gives up when its time is over', async () => {
    const clock = jumpingClock();
    const workshop = workshopOf({ files: failing(() => true) }, { clock });

    expect(
      await failureOf(openFileSource(fileWanted({ key: 'late' }, { waitForServerSeconds: 60 }), workshop)),
    ).toContain('StorageUnreachable');
    expect(clock.monotonicMs()).toBe(60_000);
  });

  it('waits for a file that still grows, once', async () => {
    await put('growing', 'SELECT');
    let looks = 0;
    const growing = (changes: number): Storage => ({
      ...changeStorage(storage, {}),
      stat: async (key, signal) => {
        looks += 1;
        if (looks <= changes) await put('growing', sql.repeat(looks));
        return await storage.stat(key, signal);
      },
    });
    const wanted = fileWanted({ key: 'growing' }, { waitForServerSeconds: 60, settleSeconds: 10 });
    const clock = jumpingClock();

    expect((await openFileSource(wanted, workshopOf({ files: growing(2) }, { clock }))).chosen.bytes).toBe(
      sql.length * 2,
    );
    expect(clock.monotonicMs()).toBe(20_000);
    looks = 0;
    const failure = await failureOf(openFileSource(wanted, workshopOf({ files: growing(9) }, { clock })));
    expect(failure).toContain('FileIncomplete: growing is still being written');
  });

  it('notices at the end of the reading that the file was replaced', async () => {
    await put('replaced', sql);
    const source = await open('replaced');
    const input = source.inputs[0]?.input;
    await put('other', 'SELECT 2;\n');
    await utimes(join(folder.path, 'other'), 7, 7);
    await rename(join(folder.path, 'other'), join(folder.path, 'replaced'));

    const bytes = input?.open(never) ?? inPieces(Buffer.alloc(0), 1);
    expect(await failureOf(collect(bytes))).toContain('FileIncomplete: replaced was changed');
  });
});

function failing(fails: () => boolean): Storage {
  const refuse = (): void => {
    if (fails()) throw new Failure('StorageUnreachable', 'connection refused');
  };
  return {
    ...changeStorage(storage, {}),
    stat: async (key, signal) => {
      refuse();
      return await storage.stat(key, signal);
    },
  };
}

/** Sleeping is time that passes at once. */
function jumpingClock() {
  let nowMs = 0;
  return {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: async (ms: number) => {
      nowMs += ms;
    },
  };
}
